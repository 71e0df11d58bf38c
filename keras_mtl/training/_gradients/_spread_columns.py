"""Cotangents of columns that one `Dense` layer spreads, as products of two small matrices.

In row b of a batch, the gradient of column k with respect to the layer's input is its error, a
number, times its column of the kernel. So the inner product of two columns over the whole batch is

    sum_b sum_i e_bk W_ik e_bl W_il = (E^T E)_kl (W^T W)_kl

with the errors E `[B, K]` and the kernel W `[d, K]`: `K^2 (B + d)` multiplications instead of the
`K^2 B d` of rows `[K, B, d]`, which are never made.
"""

import dataclasses

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._frontier import ColumnPass
from keras_mtl.training._gradients._finite import all_columns, finite_rows, sum_of_terms
from keras_mtl.training._gradients._gradient import Gradient, Row
from keras_mtl.training._gradients._loss_scale import LossScale

MANY_COLUMNS = 32
"""From here on a task's columns are worth it: rows of fewer columns are read as fast."""


def can_spread(column_pass: ColumnPass | None, loss: Tensor, copy: Tensor | None) -> bool:
    """Returns whether the columns of a task are spread by a `Dense` layer at the frontier.

    Args:
        column_pass: The forward pass at the layer where its columns part.
        loss: The losses of its columns.
        copy: The task's copy of the only tensor of the frontier.
    """
    return (
        column_pass is not None
        and column_pass.features is copy
        and (column_pass.layer.inputs, column_pass.layer.kernel) == ("...i", "ik")  # a Dense layer
        and loss.shape.rank == 1
        and loss.shape[0] >= MANY_COLUMNS
    )


@dataclasses.dataclass(frozen=True)
class SpreadColumns:
    """Holds the cotangents of the columns of one task.

    Attributes:
        errors: E, the gradients at the layer's output before its activation, `[B, K]`; axes of a
            row beside its columns count as rows.
        kernel: W, `[d, K]`.
    """

    errors: Tensor
    kernel: Tensor

    def products(self, other: "SpreadColumns") -> Tensor:
        """Returns the inner products of these columns with those of a task, `[K, K']`."""
        errors = tf.matmul(self.errors, other.errors, transpose_a=True)
        return errors * tf.matmul(self.kernel, other.kernel, transpose_a=True)

    def products_with(self, row: Tensor) -> Tensor:
        """Returns the inner products `[K]` of the columns with one cotangent, `[B, d]`."""
        return tf.reduce_sum(self.errors * tf.matmul(row, self.kernel), axis=0)

    def squared_lengths(self) -> Tensor:
        """Returns the squared length of each column's cotangent, `[K]`."""
        return tf.reduce_sum(self.errors**2, axis=0) * tf.reduce_sum(self.kernel**2, axis=0)

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Returns the sum of the columns' cotangents times weights `[K]`, `[B, d]`."""
        return tf.matmul(self.errors * weights, self.kernel, transpose_b=True)

    def finite(self) -> Tensor:
        """Returns whose cotangents are finite, bool `[K]`."""
        sums = tf.reduce_sum(self.errors, axis=0), tf.reduce_sum(self.kernel, axis=0)
        return tf.math.is_finite(sums[0]) & tf.math.is_finite(sums[1])

    def without(self, which: Tensor) -> "SpreadColumns":
        """Returns the columns with cotangents of zero for some, bool `[K]`."""
        errors = tf.where(which, tf.zeros_like(self.errors), self.errors)
        return SpreadColumns(errors, tf.where(which, tf.zeros_like(self.kernel), self.kernel))


@dataclasses.dataclass(frozen=True)
class SpreadCotangents:
    """Holds the cotangents of all losses at a frontier of one tensor.

    Attributes:
        of_tasks: For each task, the cotangents of its columns, or the gradient of its only loss.
        shape: The shape of the tensor.
        loss_scale: The loss scale of the optimizer, a factor of all of them.
    """

    of_tasks: list[SpreadColumns | Gradient]
    shape: Tensor
    loss_scale: LossScale

    @property
    def sizes(self) -> list[int]:
        """The number of losses of each task."""
        return [
            part.errors.shape[1] if isinstance(part, SpreadColumns) else 1 for part in self.of_tasks
        ]

    def gramian(self, lengths_only: bool) -> Tensor:
        """Returns the inner products `[K, K]` without loss scaling, or only their diagonal."""
        parts = [self._unscaled(part) for part in self.of_tasks]
        if lengths_only:
            return tf.linalg.diag(tf.concat([_squared_lengths(part) for part in parts], axis=0))
        return tf.concat(
            [tf.concat([_products(left, right) for right in parts], axis=1) for left in parts], 0
        )

    def _unscaled(self, part: SpreadColumns | Gradient) -> "SpreadColumns | Tensor":
        """Returns a task's part in float32; the gradient of a loss as `[B, d]`."""
        if isinstance(part, SpreadColumns):
            errors = self.loss_scale.unscaled(tf.cast(part.errors, tf.float32))
            return SpreadColumns(errors, tf.cast(part.kernel, tf.float32))
        row = part.dense() if part.exists else tf.zeros(self.shape)
        return self.loss_scale.unscaled(tf.reshape(row, (-1, row.shape[-1])))

    def sum_of_finite(
        self, weights: Tensor, towers: list[Row], usable: Tensor, replicas: Replicas
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns what `sum_of_finite` does for rows that are not spread."""
        return sum_of_terms(
            lambda: self._weighted_sum(weights),
            lambda: all_columns(self._finite(), self.sizes),
            lambda which: self._without(which)._weighted_sum(weights),
            towers,
            usable,
            replicas,
        )

    def _weighted_sum(self, weights: Tensor) -> Row:
        terms = []
        for part, factors in zip(self.of_tasks, tf.split(weights, self.sizes), strict=True):
            if isinstance(part, SpreadColumns):
                factors = tf.cast(factors, part.errors.dtype)
                terms.append(
                    tf.cast(tf.reshape(part.weighted_sum(factors), self.shape), tf.float32)
                )
            elif part.exists:
                terms.append(part.dense() * factors[0])
        return [Gradient(tf.add_n(terms))]

    def _finite(self) -> Tensor:
        flags = [
            part.finite() if isinstance(part, SpreadColumns) else finite_rows([[part]])
            for part in self.of_tasks
        ]
        return tf.concat(flags, axis=0)

    def _without(self, which: Tensor) -> "SpreadCotangents":
        kept: list[SpreadColumns | Gradient] = []
        for part, flags in zip(self.of_tasks, tf.split(which, self.sizes), strict=True):
            if isinstance(part, SpreadColumns):
                kept.append(part.without(flags))
            elif part.exists:
                values = part.values
                kept.append(part.with_values(tf.where(flags[0], tf.zeros_like(values), values)))
            else:
                kept.append(part)
        return dataclasses.replace(self, of_tasks=kept)


def _squared_lengths(part: SpreadColumns | Tensor) -> Tensor:
    return part.squared_lengths() if isinstance(part, SpreadColumns) else _dot(part, part)[None]


def _products(left: SpreadColumns | Tensor, right: SpreadColumns | Tensor) -> Tensor:
    """Returns the block `[K, K']` of the Gramian for two tasks."""
    if isinstance(left, SpreadColumns):
        if isinstance(right, SpreadColumns):
            return left.products(right)
        return left.products_with(right)[:, None]
    if isinstance(right, SpreadColumns):
        return right.products_with(left)[None, :]
    return _dot(left, right)[None, None]


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return tf.reduce_sum(left * right)
