"""The simplex of weights: projections onto it, and the shortest vector in a convex hull."""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._gramian import (
    TINY,
    cosines_and_lengths,
    nan_where_not_finite,
    resolution,
)
from keras_mtl.balancers._solvers._quadratic import nonnegative_minimum
from keras_mtl.balancers._solvers._sizes import larger, size_of


def simplex_projection(point: Tensor) -> Tensor:
    """Projects a point onto the simplex of weights: not negative, with sum 1.

    Args:
        point: Any finite vector `[K]`.

    Returns:
        The nearest point of the simplex, `[K]`.

    Example:
        >>> [float(weight) for weight in simplex_projection(ops.array([0.5, 1.0, -3.0]))]
        [0.25, 0.75, 0.0]

    Reference: Held, Wolfe & Crowder, Mathematical Programming 6 (1974).
    """
    # The projection is max(p_i - t, 0) with the threshold t that makes it sum to 1. If the m
    # largest entries are the support, t = (their sum - 1) / m.
    descending = ops.flip(ops.sort(point))
    support_sizes = ops.arange(1, size_of(point) + 1, dtype=descending.dtype)
    thresholds = (ops.cumsum(descending) - 1) / support_sizes
    # The threshold of the largest support whose smallest entry still exceeds it.
    support_size = ops.sum(ops.cast(descending > thresholds, "int32"))
    return ops.maximum(point - ops.take(thresholds, support_size - 1), 0)


def min_norm_point(gramian: Tensor, ridge: float | Tensor | None = None) -> Tensor:
    """Returns the weights of the shortest vector in the convex hull of K vectors.

    Solves `min_w w^T G w` over the simplex. Where several weights give that vector (equal
    vectors, more vectors than dimensions), they are spread as evenly as it allows. Vectors of
    length zero share all the weight; if all are zero the weights are equal.

    Args:
        gramian: Inner products `[K, K]` of the vectors, of any scale.
        ridge: How far off eigenvalues of the cosines may be; by default the `resolution` of the
            Gramian's precision.

    Returns:
        Weights `[K]` of the Gramian's precision; NaN where it is not finite.

    Example:
        >>> weights = min_norm_point(ops.array([[18.0, -22.0], [-22.0, 38.0]]))
        >>> [round(float(weight), 4) for weight in weights]
        [0.6, 0.4]
    """
    num_vectors = gramian.shape[0]
    cosines, lengths = cosines_and_lengths(gramian)
    is_zero = lengths == 0
    if num_vectors == 1:
        weights = ops.ones((1,), "float64")
    elif num_vectors == 2:
        weights = _min_norm_of_two(cosines[0, 1], lengths)
    else:
        shares = _shares(lengths)
        # At least the ridge with which an inverse in float64 gives equal vectors equal weights
        # to 1e-5.
        ridge = larger(resolution(gramian) if ridge is None else ridge, 1e-10)
        weights = _min_norm_of_many(cosines, shares, ridge) * shares
    # The zero vector is the shortest one, so that it takes all the weight.
    zeros = ops.cast(is_zero, "float64")
    weights = ops.where(ops.any(is_zero), zeros, weights)
    return nan_where_not_finite(weights / ops.sum(weights), gramian)


def _shares(lengths: Tensor) -> Tensor:
    """Returns the shortest length over each length `[K]`.

    A coefficient of the unit vector times this share is the weight of the vector itself, up to a
    common factor.
    """
    shortest = ops.min(ops.where(lengths > 0, lengths, float("inf")))
    shares = ops.where(lengths > 0, shortest / ops.maximum(lengths, TINY), 0)
    return ops.where(ops.any(lengths > 0), shares, ops.ones_like(shares))


def _min_norm_of_two(cosine: Tensor, lengths: Tensor) -> Tensor:
    """Returns the weights `[2]` of the point of a segment that is nearest to the origin.

    In closed form, for the ends g_1 and g_2: `w_1 = (g_2 - g_1) . g_2 / |g_1 - g_2|^2`, clipped
    to the segment.
    """
    first, second = lengths[0], lengths[1]
    longest = ops.maximum(ops.maximum(first, second), TINY)
    first, second = first / longest, second / longest  # no square overflows or vanishes
    squared_distance = first * first + second * second - 2 * cosine * first * second
    numerator = second * (second - cosine * first)
    weight = ops.where(
        squared_distance > 0,
        ops.clip(numerator / ops.maximum(squared_distance, TINY), 0, 1),
        0.5,  # two equal vectors
    )
    return ops.stack([weight, 1 - weight])


def _min_norm_of_many(cosines: Tensor, shares: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns coefficients u >= 0 of the unit vectors in the shortest vector, up to a factor.

    With `a` the shares, weights are w = u * a and `min u^T C u` subject to `a^T u = 1` has the
    same solution, but for its length, as `min 1/2 u^T (C + a a^T) u - a^T u` without the
    constraint: its conditions `C u - (1 - a^T u) a = z >= 0`, `u z = 0` are those of the former.
    """
    matrix = cosines + ops.outer(shares, shares)
    return nonnegative_minimum(matrix, -shares[None, :], ridge)[0]


__all__ = ["min_norm_point", "simplex_projection"]
