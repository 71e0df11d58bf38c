"""Small dense problems of the balancers, in `keras.ops` and with a bounded number of steps.

All of them are about K task gradients that are known by their Gramian alone. It is rescaled to
cosines first, so that gradients of very different lengths are no difficulty, and the solvers
run in float64: a Gramian squares the condition of the gradients, and K x K numbers cost nothing.
All tasks are treated alike: equal gradients get equal weights.
"""

import math
from collections.abc import Callable

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._quadratic import (
    MAX_STEPS,
    NEWTON_RIDGE,
    TINY,
    center,
    inside,
    nonnegative_minimum,
    reach,
)
from keras_mtl.balancers._solvers._sizes import count, larger


def simplex_projection(point: Tensor) -> Tensor:
    """Projects a point `[K]` onto the simplex of weights: not negative, with sum 1.

    Args:
        point: Any finite vector `[K]`.

    Returns:
        The nearest point of the simplex, `[K]`.

    Example:
        >>> [float(w) for w in simplex_projection(ops.array([0.5, 1.0, -3.0]))]
        [0.25, 0.75, 0.0]

    Reference: Held, Wolfe & Crowder, Mathematical Programming 6 (1974).
    """
    falling = ops.flip(ops.sort(point))
    counts = ops.arange(1, count(point) + 1, dtype=falling.dtype)
    thresholds = (ops.cumsum(falling) - 1) / counts
    # The threshold of the largest support whose smallest entry still exceeds it.
    size = ops.sum(ops.cast(falling > thresholds, "int32"))
    return ops.maximum(point - ops.take(thresholds, size - 1), 0)


def cosines_and_lengths(gramian: Tensor) -> tuple[Tensor, Tensor]:
    """The cosines `[K, K]` between vectors and their lengths `[K]`, in float64.

    A vector of length zero has cosine 0 to all others and 1 to itself. Entries that are not
    finite are read as 0, so that no factorization fails; `nan_where_not_finite` marks results.

    Args:
        gramian: Inner products `[K, K]`.

    Returns:
        Cosines and lengths.

    Example:
        >>> cosines, lengths = cosines_and_lengths(ops.array([[4.0, 3.0], [3.0, 9.0]]))
        >>> [float(x) for x in lengths], float(cosines[0, 1])
        ([2.0, 3.0], 0.5)
    """
    gramian = ops.cast(gramian, "float64")
    gramian = ops.where(ops.isfinite(gramian), gramian, 0)
    lengths = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0))
    inverse = ops.where(lengths > 0, 1 / ops.maximum(lengths, TINY), 0)
    cosines = ops.clip(gramian * inverse[:, None] * inverse[None, :], -1, 1)
    diagonal = ops.eye(count(gramian), dtype="float64")
    return cosines * (1 - diagonal) + diagonal, lengths


def resolution(gramian: Tensor) -> float | Tensor:
    """How far rounding of the Gramian may have moved an eigenvalue of the cosines.

    Args:
        gramian: Inner products `[K, K]`, in the precision in which they were computed.

    Returns:
        The machine's epsilon times the root of K.

    Example:
        >>> resolution(ops.ones((4, 4), "float32"))
        2.384185791015625e-07
    """
    epsilon = np.finfo(standardize_dtype(gramian.dtype)).eps
    number = count(gramian, "float64")
    return float(epsilon) * (math.sqrt(number) if isinstance(number, int) else ops.sqrt(number))


def nan_where_not_finite(result: Tensor, gramian: Tensor) -> Tensor:
    """The result in the Gramian's precision, NaN throughout where the Gramian is not finite."""
    result = ops.cast(result, gramian.dtype)
    return ops.where(ops.all(ops.isfinite(gramian)), result, float("nan"))


def mean_where_zero(weights: Tensor, lengths: Tensor) -> Tensor:
    """Weights, with those of vectors of length zero set to the mean of the others.

    Such a vector moves nothing, so its weight counts for what is its task's alone.

    Args:
        weights: `[K]`; finite where a length is not zero.
        lengths: Lengths `[K]`.

    Returns:
        Weights `[K]`; equal ones of sum 1 where all lengths are zero.

    Example:
        >>> weights = mean_where_zero(ops.array([1.0, 7.0, 3.0]), ops.array([1.0, 0.0, 2.0]))
        >>> [float(weight) for weight in weights]
        [1.0, 2.0, 3.0]
    """
    counts = ops.cast(lengths > 0, weights.dtype)
    number = ops.sum(counts)
    weights = ops.where(lengths > 0, weights, 0)
    equal = 1 / count(weights, weights.dtype)
    mean = ops.where(number > 0, ops.sum(weights) / ops.maximum(number, 1), equal)
    return ops.where(lengths > 0, weights, mean)


def min_norm_point(gramian: Tensor, ridge: float | Tensor | None = None) -> Tensor:
    """Weights of the shortest vector in the convex hull of K vectors.

    Solves `min_w w^T G w` over the simplex. Where several weights give that vector (equal
    vectors, more vectors than dimensions), they are spread as evenly as it allows. Vectors of
    length zero share all the weight; if all are zero the weights are equal.

    Args:
        gramian: Inner products `[K, K]` of the vectors, of any scale.
        ridge: How far off eigenvalues of the cosines may be; by default what the precision of
            the Gramian says.

    Returns:
        Weights `[K]` of the Gramian's precision; NaN where it is not finite.

    Example:
        >>> weights = min_norm_point(ops.array([[18.0, -22.0], [-22.0, 38.0]]))
        >>> [round(float(w), 4) for w in weights]
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
        # At least what lets an inverse in float64 give equal vectors equal weights to 1e-5.
        ridge = larger(resolution(gramian) if ridge is None else ridge, 1e-10)
        weights = _min_norm_of_many(cosines, shares, ridge) * shares
    zeros = ops.cast(is_zero, "float64")
    weights = ops.where(ops.any(is_zero), zeros, weights)
    return nan_where_not_finite(weights / ops.sum(weights), gramian)


def _shares(lengths: Tensor) -> Tensor:
    """Shortest length over each length: what a unit vector's coefficient counts as weight."""
    shortest = ops.min(ops.where(lengths > 0, lengths, float("inf")))
    shares = ops.where(lengths > 0, shortest / ops.maximum(lengths, TINY), 0)
    return ops.where(ops.any(lengths > 0), shares, ops.ones_like(shares))


def _min_norm_of_two(cosine: Tensor, lengths: Tensor) -> Tensor:
    """The closed form: the point of a segment nearest to the origin."""
    first, second = lengths[0], lengths[1]
    longest = ops.maximum(ops.maximum(first, second), TINY)
    first, second = first / longest, second / longest
    across = first * first + second * second - 2 * cosine * first * second
    toward = second * (second - cosine * first)
    share = ops.where(across > 0, ops.clip(toward / ops.maximum(across, TINY), 0, 1), 0.5)
    return ops.stack([share, 1 - share])


def _min_norm_of_many(cosines: Tensor, shares: Tensor, ridge: float | Tensor) -> Tensor:
    """Coefficients u >= 0 of the unit vectors in the shortest vector, up to a common factor.

    With `a` the shares, weights are w = u * a and `min u^T C u` subject to `a^T u = 1` has the
    same solution, but for its length, as `min 1/2 u^T (C + a a^T) u - a^T u` without the
    constraint: its conditions `C u - (1 - a^T u) a = z >= 0`, `u z = 0` are those of the former.
    """
    matrix = cosines + ops.outer(shares, shares)
    return nonnegative_minimum(matrix, -shares[None, :], ridge)[0]


def best_worst_case(cosines: Tensor, shares: Tensor, center: Tensor, radius: float) -> Tensor:
    """The direction in a ball that serves the worst-served vector best.

    Solves `max_d min_i <g_i, d>` subject to `|d - g_0| <= radius` for `g_0` of length 1, in
    the coefficients x of `d = g_0 + radius * sum_i x_i g_i / |g_i|`.

    Args:
        cosines: Cosines `[K, K]` between the vectors, float64.
        shares: Shortest length over each length `[K]`; 0 where a vector takes no part. Keep the
            others above 1e-7 or so.
        center: Inner products `[K]` of unit vectors with `g_0`; 1 where a vector takes no part.
        radius: Radius of the ball, above 0.

    Returns:
        Coefficients x `[K]`, float64; `x^T C x` is 1 where the ball is what limits.

    Example:
        >>> x = best_worst_case(
        ...     ops.eye(2, dtype="float64"), ops.ones(2, "float64"), ops.zeros(2, "float64"), 1.0
        ... )
        >>> [round(float(value), 4) for value in x]  # halfway between two orthogonal vectors
        [0.7071, 0.7071]
    """
    ball = _Ball(cosines, shares, radius)
    return ops.while_loop(ball.go_on, ball.step, (0, *ball.start(center)))[1]


class _Ball:
    """The interior-point method of `best_worst_case`.

    Variables: x (with its image C x), the slacks `s_i = b_i + c (C x)_i - a_i t` for the level t
    that is guaranteed, the slack `q = (1 - x^T C x) / 2` of the ball, and the multipliers u of s
    and y of q. Conditions: `y x = u`, `a^T u = 1`, `u s = 0`, `y q = 0`.
    """

    def __init__(self, cosines: Tensor, shares: Tensor, radius: float) -> None:
        self.cosines, self.shares, self.radius = cosines, shares, radius
        self.eye = ops.eye(count(shares), dtype="float64")

    def start(self, center: Tensor) -> tuple[Tensor, ...]:
        """The center of the ball, at a level below that of all vectors."""
        room = (center - 0.5 * (1 + self.radius)) / ops.maximum(self.shares, TINY)
        level = ops.min(ops.where(self.shares > 0, room, float("inf")))
        u = ops.ones_like(self.shares) / ops.sum(self.shares)
        s, q = center - self.shares * level, ops.full((), 0.5, "float64")
        x = ops.zeros_like(u)
        # Products of like size: a ball that counts for less is left at once.
        return x, x, s, q, u, ops.mean(u * s) / q

    def go_on(self, step: Tensor, *state: Tensor) -> Tensor:
        """Whether products of slacks and multipliers, or `y x = u`, are still off."""
        x, _, s, q, u, y = state
        off = y * x - u
        off = ops.sum(off * ops.matmul(self.cosines, off))
        gap = _gap(s, q, u, y)
        # Rounding may hold `off` up where vectors are equal; such a gap is the end in any case.
        go_on = ops.logical_or(gap > 1e-9, ops.logical_and(off > 1e-18, gap > 1e-12))
        return ops.logical_and(step < MAX_STEPS, go_on)

    def step(self, step: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One predictor, one corrector with the same matrix, and the move."""
        x, image, s, q, u, y = state
        newton = self._newton(*state)
        us, yq, gap = u * s, y * q, _gap(s, q, u, y)
        _, _, ds, dq, du, dy, bend, length = newton(-us, -yq)
        after_q = q + length * dq - length * length * bend
        left = _gap(s + length * ds, after_q, u + length * du, y + length * dy)
        target = center(gap, left, 2, 1e-3)
        dx, dimage, ds, dq, du, dy, bend, length = newton(
            target - us - du * ds, target - yq - dy * dq + y * bend
        )
        q = q + length * dq - length * length * bend
        u, s, q = (inside(value) for value in (u + length * du, s + length * ds, q))
        # y is the length of the hull's best point: next to none where gradients cancel out.
        y = ops.maximum(y + length * dy, 1e-10)
        return step + 1, x + length * dx, image + length * dimage, s, q, u, y

    def _newton(
        self, x: Tensor, image: Tensor, s: Tensor, q: Tensor, u: Tensor, y: Tensor
    ) -> Callable[[Tensor, Tensor], tuple[Tensor, ...]]:
        """Newton's direction for given changes of the products u s and y q."""
        a, radius = self.shares, self.radius
        pull = u / s
        matrix = ops.outer(y / q * x, image) + self.cosines * (radius * pull)[:, None]
        ridge = y + NEWTON_RIDGE * ops.max(ops.abs(matrix))
        inverse = ops.inv(matrix + ridge * self.eye)
        by_level = ops.matmul(inverse, pull * a)
        image_by_level = ops.matmul(self.cosines, by_level)
        s_by_level = radius * image_by_level - a
        off, missing = u - y * x, 1 - ops.sum(a * u)
        scale = 1 / ops.sum(a * pull * s_by_level)
        # Long steps are safe near the solution only: far from it they end at the ball's edge.
        fraction = ops.clip(1 - _gap(s, q, u, y) * (count(s, "float64") + 1), 0.85, 0.995)

        def newton(us: Tensor, yq: Tensor) -> tuple[Tensor, ...]:
            dx = ops.matmul(inverse, off - yq / q * x + us / s)
            dimage = ops.matmul(self.cosines, dx)
            level = (ops.sum(a * (us / s - pull * radius * dimage)) - missing) * scale
            dx, dimage = dx + by_level * level, dimage + image_by_level * level
            ds = radius * dimage - a * level
            dq, bend = -ops.sum(image * dx), 0.5 * ops.sum(dx * dimage)
            du, dy = us / s - pull * ds, (yq - y * dq) / q
            length = reach(fraction, (s, ds), (u, du), (y[None], dy[None]))[0]
            length = ops.minimum(length, _reach_of_ball(fraction, q, dq, bend))
            return dx, dimage, ds, dq, du, dy, bend, length

        return newton


def _gap(s: Tensor, q: Tensor, u: Tensor, y: Tensor) -> Tensor:
    """The mean product of a slack and its multiplier."""
    return (ops.sum(u * s) + y * q) / (count(u, "float64") + 1)


def _reach_of_ball(fraction: Tensor, q: Tensor, dq: Tensor, bend: Tensor) -> Tensor:
    """The step after which `q + step * dq - step^2 * bend` has lost that fraction of q."""
    root = ops.sqrt(ops.maximum(dq * dq + 4 * bend * fraction * q, 0)) - dq
    return ops.where(root > 0, 2 * fraction * q / ops.maximum(root, TINY), 1.0)


__all__ = [
    "best_worst_case",
    "cosines_and_lengths",
    "mean_where_zero",
    "min_norm_point",
    "nan_where_not_finite",
    "resolution",
    "simplex_projection",
]
