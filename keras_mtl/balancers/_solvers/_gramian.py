"""Gramians of the tasks' gradients: cosines, lengths, rounding errors, and results that use them.

All solvers of this package are about K task gradients that are known by their Gramian alone. It
is rescaled to cosines first, so that gradients of very different lengths are no difficulty, and
the solvers run in float64: a Gramian squares the condition of the gradients, and K x K numbers
cost nothing. All tasks are treated alike: equal gradients get equal weights.
"""

import math

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import size_of

TINY = 1e-30
"""Keeps a denominator off 0. In float64 it is far below every number that matters."""

LEAST_RIDGE = 1e-13
"""The smallest ridge with which an inverse in float64 is right to three digits.

A ridge is a number that is added to the diagonal of a matrix to make it invertible.
"""


def cosines_and_lengths(gramian: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the cosines between vectors and their lengths, in float64.

    A vector of length zero has cosine 0 to all others and 1 to itself. Entries that are not
    finite are read as 0, so that no factorization fails; `nan_where_not_finite` marks results.

    Args:
        gramian: Inner products `[K, K]`.

    Returns:
        Cosines `[K, K]` and lengths `[K]`.

    Example:
        >>> cosines, lengths = cosines_and_lengths(ops.array([[4.0, 3.0], [3.0, 9.0]]))
        >>> [float(length) for length in lengths], float(cosines[0, 1])
        ([2.0, 3.0], 0.5)
    """
    gramian = ops.convert_to_tensor(gramian)
    gramian = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float64")
    # Rounding may leave a diagonal entry just below 0.
    lengths = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0))
    inverse_lengths = ops.where(lengths > 0, 1 / ops.maximum(lengths, TINY), 0)
    cosines = ops.clip(gramian * inverse_lengths[:, None] * inverse_lengths[None, :], -1, 1)
    positions = ops.arange(size_of(gramian), dtype="int32")
    # The diagonal is exactly 1, whatever rounding did to it, also for vectors of length zero.
    on_diagonal = ops.equal(positions[:, None], positions[None, :])
    return ops.where(on_diagonal, ops.ones((), "float64"), cosines), lengths


def resolution(gramian: Tensor) -> float | Tensor:
    """Returns how far rounding of the Gramian may have moved an eigenvalue of the cosines.

    Args:
        gramian: Inner products `[K, K]`, in the precision in which they were computed.

    Returns:
        The machine's epsilon times the root of K.

    Example:
        >>> resolution(ops.ones((4, 4), "float32"))
        2.384185791015625e-07
    """
    epsilon = np.finfo(standardize_dtype(gramian.dtype)).eps
    size = size_of(gramian, "float64")
    return float(epsilon) * (math.sqrt(size) if isinstance(size, int) else ops.sqrt(size))


def nan_where_not_finite(result: Tensor, gramian: Tensor) -> Tensor:
    """Returns the result in the Gramian's precision, all NaN if the Gramian is not finite."""
    result = ops.cast(result, gramian.dtype)
    return ops.where(ops.all(ops.isfinite(gramian)), result, float("nan"))


def mean_where_zero(weights: Tensor, lengths: Tensor) -> Tensor:
    """Replaces the weights of vectors of length zero by the mean of the other weights.

    A gradient of length zero moves nothing that tasks share, so its weight only matters for the
    variables that belong to its task alone.

    Args:
        weights: Weights `[K]`; finite where a length is not zero.
        lengths: Lengths `[K]`.

    Returns:
        Weights `[K]`; equal ones of sum 1 where all lengths are zero.

    Example:
        >>> weights = mean_where_zero(ops.array([1.0, 7.0, 3.0]), ops.array([1.0, 0.0, 2.0]))
        >>> [float(weight) for weight in weights]
        [1.0, 2.0, 3.0]
    """
    is_nonzero = ops.cast(lengths > 0, weights.dtype)
    num_nonzero = ops.sum(is_nonzero)
    weights = ops.where(lengths > 0, weights, 0)
    equal = 1 / size_of(weights, weights.dtype)
    mean = ops.where(num_nonzero > 0, ops.sum(weights) / ops.maximum(num_nonzero, 1), equal)
    return ops.where(lengths > 0, weights, mean)


__all__ = [
    "LEAST_RIDGE",
    "TINY",
    "cosines_and_lengths",
    "mean_where_zero",
    "nan_where_not_finite",
    "resolution",
]
