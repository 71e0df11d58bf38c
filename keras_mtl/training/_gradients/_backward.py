"""Backward passes of one step: through each tower once, through the trunk as often as asked."""

import itertools
import math
from typing import Any

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._frontier._frontier import Forward, Frontier
from keras_mtl.training._frontier._variable_slice import Entry, Slice, gradients_of, wholes
from keras_mtl.training._gradients._gramian import (
    Row,
    along_first,
    present,
    sum_of_finite,
    values,
)


class Backward:
    """Takes gradients of this replica's losses; each method traces its passes anew.

    Args:
        tape: A persistent tape that has watched the forward pass.
        parts: The network, cut into a trunk and towers.
        forward: The tensors at the cut.
        losses: This replica's part of each task's loss; a vector where the task has columns.
        scale: The factor of the optimizer's loss scaling; `None` without it.
    """

    def __init__(
        self,
        tape: tf.GradientTape,
        parts: Frontier,
        forward: Forward,
        losses: list[Tensor],
        scale: Tensor | None,
    ) -> None:
        self._tape = tape
        self._parts = parts
        self._forward = forward
        self._losses = losses
        self.scale = scale
        # A loss a column: K losses in all, the task's own variables with the first of its.
        self.sizes = [math.prod(loss.shape) for loss in losses]
        self._choose_variables()

    def _choose_variables(self) -> None:
        parts = self._parts
        self.own = [list(variables) for variables in parts.own.values()]
        self.shared = list(parts.shared)
        self.own = self._by_loss(self.own, [])
        if not parts.entangled:
            return
        # The graph's nodes do not tell whose a variable is, but its gradients do.
        groups = [self.shared, *parts.own.values()]
        variables = list(
            {id(v): v for group in groups for v in group if not isinstance(v, Slice)}.values()
        )
        reached = [self._gradient([loss], variables) for loss in self._losses]
        # A bundle is one operation, through which each loss reaches all that lies below it.
        users = [
            [
                k
                for k, (name, row) in enumerate(zip(parts.own, reached, strict=True))
                if row[i] is not None and name in parts.users[id(variable)]
            ]
            for i, variable in enumerate(variables)
        ]
        pairs = list(zip(variables, users, strict=True))
        self.shared = [variable for variable, tasks in pairs if len(tasks) > 1]
        own = [
            [variable for variable, tasks in pairs if tasks == [k]]
            + [each for each in mine if isinstance(each, Slice)]  # whose it is, is known
            for k, mine in enumerate(parts.own.values())
        ]
        self.own = self._by_loss(own, [])

    def _by_loss(self, of_tasks: list[Any], nothing: Any) -> list[Any]:
        """A list by loss of one by task: nothing for all columns but the first."""
        pairs = zip(of_tasks, self.sizes, strict=True)
        return [entry for mine, n in pairs for entry in (mine, *[nothing] * (n - 1))]

    def _by_task(self, of_losses: list[Any]) -> list[Any]:
        """The entries of the first columns, one a task."""
        starts = itertools.accumulate([0, *self.sizes[:-1]])
        return [of_losses[start] for start in starts]

    def _gradient(self, targets: list[Tensor], sources: list[Any], seeds: Any = None) -> Row:
        if not targets or not sources:
            return [None] * len(sources)
        given = wholes(sources)
        plain = [getattr(source, "value", source) for source in given]
        found = self._tape.gradient(targets, plain, output_gradients=seeds)
        return gradients_of(sources, given, found)

    def _seeds(self, weights: Tensor) -> list[Tensor]:
        if self.scale is not None:
            weights *= self.scale
        if max(self.sizes) == 1 and all(loss.shape.rank == 0 for loss in self._losses):
            return list(tf.unstack(weights))
        parts = zip(tf.split(weights, self.sizes), self._losses, strict=True)
        return [tf.reshape(part, loss.shape) for part, loss in parts]

    def towers(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """One pass of the weighted sum of losses through all towers.

        Args:
            weights: The factor `[K]` of each loss.

        Returns:
            For each loss its task's gradients with respect to the frontier, and with respect to
            its own variables; those of columns are summed, and stand with the first of them.
        """
        if self._parts.entangled:
            rows = [
                # Each loss has its own gradient of what a bundle's variable holds of all.
                [each.tensor if isinstance(each, Entry) else each for each in row]
                for loss, copies, own, seed in self._tasks(weights)
                for row in [self._gradient([loss], [*present(copies), *own], [seed])]
            ]
        else:
            sources = [[*present(copies), *own] for _, copies, own, _ in self._tasks(weights)]
            flat = iter(
                self._gradient(
                    self._losses, [s for group in sources for s in group], self._seeds(weights)
                )
            )
            rows = [[next(flat) for _ in group] for group in sources]
        cotangents, towers = [], []
        for row, copies, own in zip(
            rows, self._forward.copies, self._by_task(self.own), strict=True
        ):
            head = iter(row[: len(row) - len(own)])
            cotangents.append([None if copy is None else next(head) for copy in copies])
            towers.append(row[len(row) - len(own) :])
        nothing = [None] * len(self._forward.frontier)
        return self._by_loss(cotangents, nothing), self._by_loss(towers, [])

    def _tasks(self, weights: Tensor) -> list[tuple[Tensor, Row, list[Any], Tensor]]:
        seeds, own = self._seeds(weights), self._by_task(self.own)
        return list(zip(self._losses, self._forward.copies, own, seeds, strict=True))

    def towers_by_loss(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """As `towers`, with gradients with respect to the frontier for each column apart.

        Columns are independent losses of one tensor: their gradients are a Jacobian, which the
        layer that spreads them knows, and which is else taken in one vectorized pass.
        """
        cotangents, towers = self.towers(weights)
        factors = weights if self.scale is None else weights * self.scale
        parts = tf.split(factors, self.sizes)
        first = 0
        for name, loss, copies, part in zip(
            self._parts.own, self._losses, self._forward.copies, parts, strict=True
        ):
            if loss.shape.rank:
                by_column = [
                    None if copy is None else self._rows(name, loss, copy, part) for copy in copies
                ]
                cotangents[first : first + loss.shape[0]] = [
                    [None if g is None else Entry(g, c) for g in by_column]
                    for c in range(loss.shape[0])
                ]
                first += loss.shape[0]
            else:
                first += 1
        return cotangents, towers

    def _rows(self, name: str, loss: Tensor, copy: Tensor, factors: Tensor) -> Tensor | None:
        """The gradient of each column, times its factor, with respect to one tensor."""
        if name not in self._forward.spreads or self._parts.entangled:
            found = self._tape.jacobian(loss, copy)
            return None if found is None else along_first(factors, found) * found
        spread, read, made = self._forward.spreads[name]
        gradient = self._tape.gradient(loss, made, output_gradients=factors)
        rows = spread.rows(gradient)
        if read is copy:
            return rows
        if self._tape.gradient(read, copy) is None:
            return None
        return tf.vectorized_map(
            lambda row: self._tape.gradient(read, copy, output_gradients=row), rows
        )

    def trunk(self, cotangent: Row) -> Row:
        """One pass from the frontier to the shared variables."""
        pairs = [
            (tensor, tf.cast(values(seed), tensor.dtype))
            for tensor, seed in zip(self._forward.frontier, cotangent, strict=True)
            if seed is not None
        ]
        return self._gradient([t for t, _ in pairs], self.shared, [seed for _, seed in pairs])

    def weighted(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row]
    ) -> tuple[Row, list[Row], Tensor]:
        """Gradients of the shared variables for the weighted sum of losses: one pass.

        Args:
            weights: The factor `[K]` of each loss.
            cotangents: What `towers` gave for factors of one.
            towers: Likewise.

        Returns:
            The gradients, of finite tasks alone; the towers', likewise; and whose are finite,
            bool `[K]`.
        """
        if self._parts.entangled:
            return sum_of_finite(weights, self.rows(cotangents), towers, self.sizes)
        total, towers, finite = sum_of_finite(weights, cotangents, towers, self.sizes)
        return self.trunk(total), towers, finite

    def summed(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row]
    ) -> tuple[Row, list[Row], Tensor]:
        """As `weighted`, for what `towers` has weighted already."""
        if self._parts.entangled:
            return self.weighted(weights, cotangents, towers)
        total, towers, finite = sum_of_finite(None, cotangents, towers, self.sizes)
        return self.trunk(total), towers, finite

    def rows(self, cotangents: list[Row]) -> list[Row]:
        """Each task's gradients of the shared variables: a pass through the trunk for each."""
        if self._parts.entangled:
            seeds = self._seeds(tf.ones(len(self._losses)))
            return [
                self._gradient([loss], self.shared, [seed])
                for loss, seed in zip(self._losses, seeds, strict=True)
            ]
        return [self.trunk(cotangent) for cotangent in cotangents]
