"""Gradients of all losses in one array per source, and their inner products."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Row
from keras_mtl.training._gradients._rows import runs

StackedGradients: TypeAlias = list[Tensor]
"""The gradients of all losses: one array `[K, n]` for each source."""

_MANY_ROWS = 128  # from here on half of the products are worth the work of cutting into blocks
_BLOCKS = 4


def stack(rows: Sequence[Row]) -> StackedGradients:
    """Returns the gradients of all losses in one array per source; zero where there is none.

    Joined once, they serve the Gramian and the weighted sum as matrix products: fewer passes
    over memory than products of pairs.
    """
    stacked = []
    for column in zip(*rows, strict=True):
        arrays = [array for _, array in runs(column)]
        zeros = tf.zeros_like(next(array for array in arrays if array is not None)[:1])  # [1, n]
        stacked.append(tf.concat([zeros if array is None else array for array in arrays], axis=0))
    return stacked


def gramian(stacked: StackedGradients, second: StackedGradients | None = None) -> Tensor:
    """Returns the inner products `[K, K]` of gradients with each other, or with second ones."""
    if second is None and stacked[0].shape[0] >= _MANY_ROWS:
        return tf.add_n([_symmetric_product(rows) for rows in stacked])
    pairs = zip(stacked, stacked if second is None else second, strict=True)
    return tf.add_n([tf.matmul(left, right, transpose_b=True) for left, right in pairs])


def squared_lengths(stacked: StackedGradients) -> Tensor:
    """Returns the diagonal of `gramian` alone, `[K, K]` with zeros beside it."""
    if stacked[0].shape[0] < _MANY_ROWS:  # one product of all reads them fastest
        return tf.linalg.diag(tf.linalg.diag_part(gramian(stacked)))
    # One product per row: squares that are summed up would need a copy of all.
    products = [tf.matmul(rows[:, None, :], rows[:, :, None])[:, 0, 0] for rows in stacked]
    return tf.linalg.diag(tf.add_n(products))


def _symmetric_product(rows: Tensor) -> Tensor:
    """Returns the products of many rows with each other; computes little more than half of them."""
    num_rows = rows.shape[0]
    size = -(-num_rows // _BLOCKS)
    # Each block of rows meets the rows from its own on: the upper triangle and a little more.
    upper = [
        tf.pad(tf.matmul(rows[i : i + size], rows[i:], transpose_b=True), [[0, 0], [i, 0]])
        for i in range(0, num_rows, size)
    ]
    triangle = tf.linalg.band_part(tf.concat(upper, axis=0), 0, -1)
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
    """Returns the weights `[K]` whose sum of gradients comes nearest to a direction.

    Args:
        matrix: The Gramian `[K, K]` of the gradients.
        products: Inner products `[K]` of the gradients with the direction.
    """
    lengths = tf.sqrt(tf.linalg.diag_part(matrix))
    lengths = tf.where(lengths > 0.0, lengths, tf.ones_like(lengths))
    cosines = matrix / (lengths[:, None] * lengths[None, :])
    cosines += 1e-6 * tf.eye(cosines.shape[0])  # equal gradients share the weight
    return tf.linalg.solve(cosines, (products / lengths)[:, None])[:, 0] / lengths
