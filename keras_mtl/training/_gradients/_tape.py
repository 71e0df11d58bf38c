"""The tape of one step: its losses, and gradients with respect to any source."""

import math
import operator
from typing import Any, TypeAlias, TypeVar

import keras
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._frontier import (
    ColumnPass,
    Forward,
    VariableSlice,
    distinct_sources,
    source_of,
)
from keras_mtl.training._gradients._gradient import Gradient, Row
from keras_mtl.training._gradients._loss_scale import LossScale
from keras_mtl.training._gradients._rows import along_first
from keras_mtl.training._gradients._spread_columns import SpreadColumns, can_spread

Sources: TypeAlias = list[keras.Variable | VariableSlice]
"""Variables that a gradient is taken with respect to."""

T = TypeVar("T")

_COLUMNS_AT_ONCE = 64  # all of 600 would hold 600 times the features of a batch


class StepTape:
    """Takes gradients of this replica's losses.

    There are K losses: one per task, or one per column where a task has columns. In a list by
    loss, what belongs to a task with columns stands at the first of its losses.

    Args:
        tape: A persistent tape that has watched the forward pass.
        forward: The tensors at the frontier.
        losses: This replica's part of each task's loss; a vector where the task has columns.
        loss_scale: The loss scale of the optimizer.
    """

    def __init__(
        self,
        tape: tf.GradientTape,
        forward: Forward,
        losses: list[Tensor],
        loss_scale: LossScale,
    ) -> None:
        self._tape = tape
        self.forward = forward
        self.losses = losses
        self.loss_scale = loss_scale
        self.sizes = [math.prod(loss.shape) for loss in losses]

    def gradient(self, targets: list[Tensor], sources: list[Any], seeds: Any = None) -> Row:
        """Returns the gradients of the sum of the targets, one for each source.

        Args:
            targets: Losses, or tensors on the way to them.
            sources: Variables, slices of variables, and tensors.
            seeds: The gradients at the targets; ones by default.
        """
        if not targets or not sources:
            return [Gradient()] * len(sources)
        distinct = distinct_sources(sources)
        # Values, since a tape knows no keras.Variable (docs/keras_notes.md, pain 29;
        # tensorflow#116636).
        tensors = [getattr(source, "value", source) for source in distinct]
        arrays = self._tape.gradient(targets, tensors, output_gradients=seeds)
        by_source = {id(s): array for s, array in zip(distinct, arrays, strict=True)}
        return [_gradient_of(source, by_source[id(source_of(source))]) for source in sources]

    def seeds(self, weights: Tensor) -> list[Tensor]:
        """Returns the gradients of the weighted, scaled sum of losses with respect to each loss."""
        weights = self.loss_scale.scaled(weights)
        if max(self.sizes) == 1 and all(loss.shape.rank == 0 for loss in self.losses):
            return list(tf.unstack(weights))
        of_tasks = zip(tf.split(weights, self.sizes), self.losses, strict=True)
        return [tf.reshape(part, loss.shape) for part, loss in of_tasks]

    def rows(self, loss: Tensor, seed: Tensor, sources: Sources) -> list[Row]:
        """Returns the gradients of a task's loss: one row, or one for each column of a vector.

        Args:
            loss: The loss, a scalar or a vector.
            seed: The gradient at the loss, of its shape.
            sources: Variables.
        """
        total = self.gradient([loss], sources, [seed])
        reached = [source for source, g in zip(sources, total, strict=True) if g.exists]
        if not loss.shape.rank or not reached:
            return [total] * math.prod(loss.shape)
        # One vectorized pass of all columns; `total` tells only which sources they reach.
        of_columns = tf.vectorized_map(
            lambda column: [g.dense() for g in self.gradient([loss], reached, [column])],
            tf.linalg.diag(seed),
        )
        arrays = iter(of_columns)  # [columns, *shape of the source]
        by_source = [next(arrays) if g.exists else None for g in total]
        return [
            [Gradient() if array is None else Gradient(array, c) for array in by_source]
            for c in range(loss.shape[0])
        ]

    def trunk(self, cotangents: Row, shared: Sources) -> Row:
        """Takes one pass from the frontier to the shared variables.

        Args:
            cotangents: Gradients with respect to the tensors of the frontier.
            shared: The variables.
        """
        # Targets and seeds of the pass, without tensors that no loss reaches.
        pairs = [
            (tensor, tf.cast(gradient.values, tensor.dtype))
            for tensor, gradient in zip(self.forward.frontier, cotangents, strict=True)
            if gradient.exists
        ]
        return self.gradient([tensor for tensor, _ in pairs], shared, [seed for _, seed in pairs])

    def trunk_in_turn(self, cotangents: list[Row], shared: Sources) -> list[Row]:
        """Takes the passes of `trunk` one after the other, of which one is traced.

        Fifty passes take half a minute to trace. In a loop they are the same passes.

        Args:
            cotangents: For each loss, its gradients with respect to the tensors of the frontier.
            shared: The variables.
        """
        patterns = {tuple(gradient.exists for gradient in row) for row in cotangents}
        if len(patterns) > 1 or not any(next(iter(patterns))):
            return [self.trunk(row, shared) for row in cotangents]
        tensors = [
            tensor
            for tensor, gradient in zip(self.forward.frontier, cotangents[0], strict=True)
            if gradient.exists
        ]
        rows = [[gradient.values for gradient in row if gradient.exists] for row in cotangents]
        seeds = [
            tf.cast(tf.stack(column), tensor.dtype)  # [K, ...]
            for column, tensor in zip(zip(*rows, strict=True), tensors, strict=True)
        ]
        # The pass of the first loss tells only which variables there are on the way.
        first = self.gradient(tensors, shared, [array[0] for array in seeds])
        reached = [source for source, g in zip(shared, first, strict=True) if g.exists]
        # Shared variables are whole ones: a slice belongs to one task.
        arrays = tf.map_fn(
            lambda of_loss: [g.dense() for g in self.gradient(tensors, reached, of_loss)],
            seeds,
            fn_output_signature=[tf.TensorSpec(source_of(source).shape) for source in reached],
            parallel_iterations=1,
        )
        by_source = iter(arrays)
        stacked = [next(by_source) if g.exists else None for g in first]
        return [
            [Gradient() if array is None else Gradient(array, k) for array in stacked]
            for k in range(len(cotangents))
        ]

    def trunk_of_columns(self, cotangents: list[Row], shared: Sources) -> list[Row]:
        """Takes the passes of `trunk` for the columns of one task, many of them at once.

        Args:
            cotangents: For each column, entries of one array per tensor of the frontier.
            shared: The variables.
        """
        pairs = [
            (tensor, tf.gather(gradient.array, [row[i].index for row in cotangents]))
            for i, (tensor, gradient) in enumerate(
                zip(self.forward.frontier, cotangents[0], strict=True)
            )
            if gradient.exists
        ]
        tensors = [tensor for tensor, _ in pairs]
        seeds = [tf.cast(array, tensor.dtype) for tensor, array in pairs]  # [columns, ...]
        # The pass of the first column tells only which variables there are on the way.
        first = self.gradient(tensors, shared, [array[0] for array in seeds])
        reached = [source for source, g in zip(shared, first, strict=True) if g.exists]

        def pass_of_one(column: list[Tensor]) -> list[Tensor]:
            return [_dense(g) for g in self.gradient(tensors, reached, column)]

        parts = [
            tf.vectorized_map(pass_of_one, [array[i : i + _COLUMNS_AT_ONCE] for array in seeds])
            for i in range(0, len(cotangents), _COLUMNS_AT_ONCE)
        ]
        arrays = iter([tf.concat(chunks, axis=0) for chunks in zip(*parts, strict=True)])
        by_source = [next(arrays) if g.exists else None for g in first]
        return [
            [Gradient() if array is None else Gradient(array, c) for array in by_source]
            for c in range(len(cotangents))
        ]

    def by_loss(self, of_tasks: list[T], nothing: T) -> list[T]:
        """Turns a list by task into a list by loss: `nothing` at all columns but the first."""
        pairs = zip(of_tasks, self.sizes, strict=True)
        return [entry for value, size in pairs for entry in (value, *[nothing] * (size - 1))]

    def arrange(self, rows: list[Row], sources: list[Sources]) -> tuple[list[Row], list[Row]]:
        """Splits each task's gradients in two parts, and returns both by loss.

        Args:
            rows: For each task, its gradients with respect to its copies of the frontier, then
                with respect to its own variables.
            sources: Each task's own variables.

        Returns:
            The cotangents, with a place for each tensor of the frontier, and the towers' rows.
        """
        cotangents, towers = [], []
        for row, copies, variables in zip(rows, self.forward.copies, sources, strict=True):
            num_copies = len(row) - len(variables)
            of_copies = iter(row[:num_copies])
            cotangents.append([Gradient() if c is None else next(of_copies) for c in copies])
            towers.append(row[num_copies:])
        no_cotangents = [Gradient()] * len(self.forward.frontier)
        return self.by_loss(cotangents, no_cotangents), self.by_loss(towers, [])

    def part_columns(
        self, cotangents: list[Row], weights: Tensor, passes: dict[str, ColumnPass], names: Any
    ) -> list[Row]:
        """Returns the cotangents, with separate ones for each column.

        Columns are independent losses of one tensor: their gradients are a Jacobian. The layer at
        which they part gives it in closed form; otherwise one vectorized pass computes it.

        Args:
            cotangents: The cotangents, summed over the columns of a task.
            weights: The factor `[K]` of each loss.
            passes: The tensors of the forward pass at such layers, by task.
            names: The tasks.
        """
        factors = tf.split(self.loss_scale.scaled(weights), self.sizes)
        apart = list(cotangents)
        first = 0
        for name, loss, copies, of_task in zip(
            names, self.losses, self.forward.copies, factors, strict=True
        ):
            if loss.shape.rank:  # a vector: the task has columns
                column_pass = passes.get(name)
                arrays = [
                    None if copy is None else self._jacobian(column_pass, loss, copy, of_task)
                    for copy in copies
                ]
                num_columns = loss.shape[0]
                apart[first : first + num_columns] = [
                    [Gradient() if array is None else Gradient(array, c) for array in arrays]
                    for c in range(num_columns)
                ]
                first += num_columns
            else:
                first += 1
        return apart

    def spread_columns(self, weights: Tensor, names: Any) -> list[SpreadColumns | None] | None:
        """Returns the cotangents of tasks whose columns a `Dense` layer spreads.

        Args:
            weights: The factor `[K]` of each loss.
            names: The tasks.

        Returns:
            An entry for each task, `None` for one with a single loss; or `None` if some task has
            columns of another kind, all have few, or the frontier has several tensors.
        """
        if len(self.forward.frontier) > 1:
            return None
        passes = [self.forward.column_passes.get(name) for name in names]
        parts = list(zip(passes, self.losses, self.forward.copies, strict=True))
        spread = [can_spread(of_task, loss, copies[0]) for of_task, loss, copies in parts]
        single = [loss.shape.rank == 0 for loss in self.losses]
        if not any(spread) or not all(map(operator.or_, spread, single)):
            return None
        factors = tf.split(self.loss_scale.scaled(weights), self.sizes)
        return [
            self._spread(of_task, loss, factor) if of_task is not None and is_spread else None
            for is_spread, (of_task, loss, _), factor in zip(spread, parts, factors, strict=True)
        ]

    def _spread(self, column_pass: ColumnPass, loss: Tensor, factors: Tensor) -> SpreadColumns:
        before = column_pass.before_activation
        errors = self._tape.gradient(loss, before, output_gradients=factors)
        kernel = tf.cast(column_pass.layer.node.operation.kernel, errors.dtype)
        return SpreadColumns(tf.reshape(errors, (-1, errors.shape[-1])), kernel)

    def _jacobian(
        self, column_pass: ColumnPass | None, loss: Tensor, copy: Tensor, factors: Tensor
    ) -> Tensor | None:
        """Returns the gradient of each column, times its factor, with respect to one tensor.

        The result is `[columns, *shape of the tensor]`, or `None` if no loss reaches the tensor.
        """
        if column_pass is None:
            jacobian = self._tape.jacobian(loss, copy)
            return None if jacobian is None else along_first(factors, jacobian) * jacobian
        features = column_pass.features
        # One pass of the sum of all columns, from the losses to the layer.
        gradient = self._tape.gradient(
            loss, column_pass.before_activation, output_gradients=factors
        )
        rows = column_pass.layer.rows(gradient)  # [columns, *shape of the features]
        if features is copy:  # the layer reads the frontier itself
            return rows
        # Layers between the frontier and this layer: the rows pass them all at once.
        if self._tape.gradient(features, copy) is None:
            return None
        return tf.vectorized_map(
            lambda row: self._tape.gradient(features, copy, output_gradients=row), rows
        )


def _gradient_of(source: Any, array: Tensor | None) -> Gradient:
    """Returns the gradient with respect to a source, from the gradient of its whole variable."""
    if array is not None and isinstance(source, VariableSlice):
        return Gradient(array, source.index)
    return Gradient(array)


def _dense(gradient: Gradient) -> Tensor:
    """Returns a gradient of one whole variable as `Gradient.dense` does, by a vectorizable sum.

    TensorFlow vectorizes no `tf.scatter_nd`: it would loop over columns, with a warning.
    """
    if not isinstance(gradient.array, tf.IndexedSlices):
        return gradient.dense()
    table = gradient.array
    rows = tf.math.unsorted_segment_sum(table.values, table.indices, table.dense_shape[0])
    return tf.cast(rows, tf.float32)
