"""Gradients of all losses in one array per source, and their inner products."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Row
from keras_mtl.training._gradients._rows import runs

StackedGradients: TypeAlias = list[Tensor]
"""The gradients of all losses: one array `[K, n]` for each source."""

MANY_ROWS = 128
"""From here on half of the products are worth the work of cutting rows into blocks."""

_BLOCKS = 4
_PARTS = 32  # of which one at a time fits near the processor


def stack(rows: Sequence[Row]) -> StackedGradients:
    """Returns the gradients of all losses in one array per source; zero where there is none.

    The Gramian and the weighted sum are then matrix products with one array: fewer passes over
    memory than products of pairs of gradients.
    """
    stacked = []
    for column in zip(*rows, strict=True):
        arrays = [array for _, array in runs(column)]  # [m, n] each, in the order of the losses
        zeros = tf.zeros_like(next(array for array in arrays if array is not None)[:1])  # [1, n]
        stacked.append(tf.concat([zeros if array is None else array for array in arrays], axis=0))
    return stacked


def gramian(stacked: StackedGradients, second: StackedGradients | None = None) -> Tensor:
    """Returns the inner products `[K, K]` of gradients with each other, or with second ones."""
    if second is None and stacked[0].shape[0] >= MANY_ROWS:
        return tf.add_n([_symmetric_product(rows) for rows in stacked])
    pairs = zip(stacked, stacked if second is None else second, strict=True)
    return tf.add_n([tf.matmul(left, right, transpose_b=True) for left, right in pairs])


def squared_lengths(stacked: StackedGradients) -> Tensor:
    """Returns the diagonal of `gramian`, as a matrix `[K, K]` with zeros beside it."""
    if stacked[0].shape[0] < MANY_ROWS:  # one product of all reads them fastest
        return tf.linalg.diag(tf.linalg.diag_part(gramian(stacked)))
    return tf.linalg.diag(tf.add_n([row_squares(rows) for rows in stacked]))


def row_squares(rows: Tensor) -> Tensor:
    """Returns the squared lengths `[K]` of many rows `[K, n]`."""
    # Part by part, since squares of all rows at once would be a copy of all of them in memory.
    size = -(-rows.shape[0] // _PARTS)
    parts = [rows[i : i + size] for i in range(0, rows.shape[0], size)]
    return tf.concat([tf.reduce_sum(part * part, axis=1) for part in parts], axis=0)


def _symmetric_product(rows: Tensor) -> Tensor:
    """Returns the products of many rows with each other; computes little more than half of them."""
    num_rows = rows.shape[0]
    size = -(-num_rows // _BLOCKS)
    # Each block of rows times the rows from its own first one on: the upper triangle and a little
    # more, [size, K - i], padded to [size, K].
    upper = [
        tf.pad(tf.matmul(rows[i : i + size], rows[i:], transpose_b=True), [[0, 0], [i, 0]])
        for i in range(0, num_rows, size)
    ]
    triangle = tf.linalg.band_part(tf.concat(upper, axis=0), 0, -1)  # [K, K], 0 below the diagonal
    # Both triangles hold the diagonal: it is taken away once.
    return (
        triangle
        + tf.linalg.band_part(tf.transpose(triangle), -1, 0)
        - tf.linalg.diag(tf.linalg.diag_part(triangle))
    )


def combine(
    weights: Tensor, stacked: StackedGradients, shaped_as: Sequence[Tensor]
) -> list[Tensor]:
    """Returns the sum of all gradients times weights `[K]`, shaped as the sources."""
    sums = [tf.matmul(weights[None, :], rows) for rows in stacked]  # [1, n] each
    return [tf.reshape(s, tf.shape(source)) for s, source in zip(sums, shaped_as, strict=True)]


def split_direction(direction: Tensor, shaped_as: Sequence[Tensor]) -> list[Tensor]:
    """Cuts a direction `[n]` over all sources joined into one tensor per source."""
    sizes = [tf.size(source) for source in shaped_as]
    parts = tf.split(direction, sizes, num=len(sizes))
    pairs = zip(parts, shaped_as, strict=True)
    return [tf.reshape(part, tf.shape(source)) for part, source in pairs]


def nearest_weights(matrix: Tensor, products: Tensor) -> Tensor:
    """Returns the weights `[K]` whose weighted sum of gradients is nearest to a direction.

    With gradients G `[K, n]` and a direction d, they solve the normal equations G G^T w = G d. The
    rows are scaled to length 1 first, so that the small term on the diagonal weighs all tasks
    alike.

    Args:
        matrix: The Gramian `[K, K]` of the gradients.
        products: Inner products `[K]` of the gradients with the direction.
    """
    lengths = tf.sqrt(tf.linalg.diag_part(matrix))
    lengths = tf.where(lengths > 0.0, lengths, tf.ones_like(lengths))  # a zero gradient: weight 0
    cosines = matrix / (lengths[:, None] * lengths[None, :])
    cosines += 1e-6 * tf.eye(cosines.shape[0])  # equal gradients share the weight
    return tf.linalg.solve(cosines, (products / lengths)[:, None])[:, 0] / lengths
