"""Inner products of very many gradients, estimated from a few thousand numbers of each.

The numbers of a gradient are cut into blocks of m. The numbers of each block get random signs, the
block is turned by a random number of places, and all blocks are added up: a count sketch. Two
numbers of a gradient meet with the probability 1/m at most, and with a random sign. So the inner
products of sketches have the inner products of the gradients as their means, with

    variance of <S x, S y>  <=  (|x|^2 |y|^2 + <x, y>^2) / m

over the draws of signs and turns, whatever the gradients are (Charikar, Chen & Farach-Colton 2002,
doi:10.1007/3-540-45465-9_59; Weinberger et al. 2009, arXiv:0902.2206). A gradient of at most m
numbers meets itself nowhere, and its products are exact.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gramian import StackedGradients, gramian, row_squares

# The same numbers with XLA and without: the default would differ.
_DRAWS = "philox"
_PARTS = 16  # of the rows, so that the numbers of a block stay near the processor


def sketch(
    stacked: StackedGradients, size: int, seed: Tensor, starts: Sequence[Tensor | None]
) -> Tensor:
    """Returns m numbers of each gradient, and its squared length, `[K, m + 1]`.

    They are sums over the numbers of the gradients, of which each replica has some: the sketch of
    all replicas is the sum of theirs, and equal to that of one device.

    Args:
        stacked: The gradients, one array `[K, n]` for each source.
        size: m.
        seed: An int32 scalar; other draws belong to each of them.
        starts: For each source, how many numbers of it the replicas before this one have, an int32
            scalar; `None` where there is one replica.
    """
    folded = [
        _fold(rows, size, (seed, source, len(stacked)), start)
        for source, (rows, start) in enumerate(zip(stacked, starts, strict=True))
    ]
    squares = tf.add_n([row_squares(rows) for rows in stacked])
    return tf.concat([tf.add_n(folded), squares[:, None]], axis=1)


def gramian_of_sketch(numbers: Tensor) -> Tensor:
    """Returns an estimate of the inner products `[K, K]`, with exact lengths.

    Every row of the sketch is scaled to the length of its gradient, so that the estimate is a
    Gramian, without eigenvalues below 0 beside rounding. That also makes cosines better: to first
    order in 1/m a cosine c has the standard deviation `(1 - c^2) / sqrt(m)`, and equal or opposed
    gradients are seen as such. The scale shifts the mean of a cosine by `c (1 - c^2) / m` or less.

    Args:
        numbers: The result of `sketch`, of all replicas.
    """
    rows, squares = numbers[:, :-1], numbers[:, -1]
    lengths = tf.sqrt(tf.math.divide_no_nan(squares, tf.reduce_sum(rows * rows, axis=1)))
    matrix = gramian([rows * lengths[:, None]])
    return tf.linalg.set_diag(matrix, squares)


def _fold(rows: Tensor, size: int, seed: tuple[Tensor, int, int], start: Tensor | None) -> Tensor:
    """Returns the sum `[K, m]` of the blocks of one source, with their signs and turned."""
    first = tf.zeros((), tf.int32)
    if start is not None:  # blocks begin where they begin on one device
        rows = tf.pad(rows, [[0, 0], [start % size, 0]])
        first = start // size
    num_rows = rows.shape[0]
    part = -(-num_rows // _PARTS)
    parts = [rows[i : i + part] for i in range(0, num_rows, part)]
    return tf.concat([_fold_part(rows, size, seed, first) for rows in parts], axis=0)


def _fold_part(rows: Tensor, size: int, seed: tuple[Tensor, int, int], first: Tensor) -> Tensor:
    num_rows = rows.shape[0]
    num_blocks = tf.shape(rows)[1] // size  # whole ones

    def add(block: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        numbers = tf.slice(rows, [0, block * size], [num_rows, size])
        return block + 1, total + _turned(numbers, first + block, seed)

    start = (0, tf.zeros((num_rows, size)))
    _, total = tf.while_loop(lambda block, _: block < num_blocks, add, start, parallel_iterations=1)
    rest = rows[:, num_blocks * size :]
    rest = tf.pad(rest, [[0, 0], [0, size - tf.shape(rest)[1]]])
    return total + _turned(tf.ensure_shape(rest, (num_rows, size)), first + num_blocks, seed)


def _turned(numbers: Tensor, block: Tensor, seed: tuple[Tensor, int, int]) -> Tensor:
    """Returns the numbers `[K, m]` of a block with random signs, turned by random places."""
    step, source, num_sources = seed
    size = numbers.shape[1]
    draw = 2 * (block * num_sources + source)
    of_signs, of_places = tf.stack([step, draw]), tf.stack([step, draw + 1])
    signs = tf.random.stateless_uniform((size,), of_signs, 0, 2, tf.int32, alg=_DRAWS)
    places = tf.random.stateless_uniform((), of_places, 0, size, tf.int32, alg=_DRAWS)
    return tf.roll(numbers * tf.cast(2 * signs - 1, numbers.dtype), places, axis=1)
