"""Convex quadratics over the nonnegative numbers, in `keras.ops` and a bounded number of steps.

They are solved by exchanging which variables are free, all wrong ones at once (block principal
pivoting, after Kostreva and after Judice & Pires): two to four linear systems in practice. The
rare problems on which that goes round in circles fall to a primal-dual interior-point method with
Mehrotra's predictor and corrector (Nocedal & Wright, Numerical Optimization, 2006, sections 16.6
and 19.3).
"""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import count, larger

TINY = 1e-30
NEWTON_RIDGE = 1e-13  # on Newton's matrix alone: it keeps an exact zero off the pivots, no more
MAX_STEPS = 40
LEAST_RIDGE = 1e-13  # what an inverse in float64 takes to be right to three digits
_MAX_EXCHANGES = 12
_TOLERANCE = 1e-10


def nonnegative_minimum(matrix: Tensor, linear: Tensor, ridge: float | Tensor) -> Tensor:
    """Minimizes `u^T M u / 2 + b^T u` over `u >= 0`, for several b at once.

    Variables that are alike get equal values: where the minimum is not unique, it is that of
    the smallest u (as far as the ridge tells one from another).

    Args:
        matrix: M, positive semi-definite, `[K, K]`, float64, with a diagonal near 1.
        linear: One b a row, `[m, K]`, float64.
        ridge: What to add to the diagonal of M to make it definite: no less than its error. The
            result is corrected for it.

    Returns:
        One u a row, `[m, K]`, float64.

    Example:
        >>> matrix = ops.array([[1.0, 0.5], [0.5, 1.0]], "float64")
        >>> u = nonnegative_minimum(matrix, ops.array([[-1.0, 0.25]], "float64"), 1e-15)
        >>> [round(abs(float(value)), 4) for value in u[0]]
        [1.0, 0.0]
    """
    scale = ops.max(ops.abs(linear), axis=1, keepdims=True)
    linear = linear / ops.where(scale > 0, scale, 1)
    eye = ops.eye(count(matrix), dtype="float64")
    ridged = matrix + larger(ridge, LEAST_RIDGE) * eye

    def go_on(step: Tensor, free: Tensor, u: Tensor, wrong: Tensor) -> Tensor:
        return ops.logical_and(step < _MAX_EXCHANGES, ops.any(wrong))

    def exchange(step: Tensor, free: Tensor, u: Tensor, wrong: Tensor) -> tuple[Tensor, ...]:
        free = ops.logical_xor(free, wrong)
        both = ops.logical_and(free[:, :, None], free[:, None, :])
        inverse = ops.inv(ops.where(both, ridged, eye))
        u = -_apply(inverse, ops.where(free, linear, 0))
        # Twice more from there, which leaves of the ridge's influence its third power.
        for _ in range(2):
            u = u - _apply(inverse, ops.where(free, ops.matmul(u, matrix) + linear, 0))
        largest = ops.maximum(ops.max(ops.abs(u), axis=1, keepdims=True), 1)
        gradient = ops.matmul(u, matrix) + linear
        wrong = ops.where(free, u / largest, gradient) < -_TOLERANCE
        return step + 1, free, u, wrong

    # Only from below do variables become free: none are, and the gradient at 0 is b.
    wrong = linear < -_TOLERANCE
    free = ops.zeros_like(wrong)
    start = (0, free, ops.zeros_like(linear), wrong)
    _, _, u, wrong = ops.while_loop(go_on, exchange, start)
    u = ops.cond(
        ops.any(wrong), lambda: _interior_minimum(ridged, linear), lambda: ops.maximum(u, 0)
    )
    return u * scale


def _apply(inverse: Tensor, rows: Tensor) -> Tensor:
    """Symmetric matrices `[m, K, K]` times one vector each, `[m, K]`."""
    return ops.matmul(rows[:, None, :], inverse)[:, 0, :]


def _interior_minimum(matrix: Tensor, linear: Tensor) -> Tensor:
    """As `nonnegative_minimum`, along the center of what is allowed; z is the gradient."""
    eye = ops.eye(count(matrix), dtype="float64")

    def go_on(step: Tensor, u: Tensor, z: Tensor) -> Tensor:
        return ops.logical_and(step < MAX_STEPS, ops.max(ops.mean(u * z, axis=1)) > 1e-15)

    def body(step: Tensor, u: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        residual = ops.matmul(u, matrix) + linear - z
        inverse = ops.inv(matrix + (z / u + NEWTON_RIDGE)[:, :, None] * eye)

        def toward(products: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            du = _apply(inverse, products / u - residual)
            dz = (products - z * du) / u
            return du, dz, reach(0.995, (u, du), (z, dz))

        du, dz, length = toward(-u * z)
        gap = ops.mean(u * z, axis=1, keepdims=True)
        left = ops.mean((u + length * du) * (z + length * dz), axis=1, keepdims=True)
        du, dz, length = toward(center(gap, left, 3) - u * z - du * dz)
        return step + 1, inside(u + length * du), inside(z + length * dz)

    u = ops.ones_like(linear)
    gradient = ops.matmul(u, matrix) + linear
    off = ops.maximum(1e-3, ops.max(ops.abs(gradient), axis=1, keepdims=True))
    return ops.while_loop(go_on, body, (0, u, ops.maximum(gradient, 0) + off))[1]


def reach(fraction: float | Tensor, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """The longest step up to 1 that goes only that fraction of the way to a sign change.

    Args:
        fraction: Below 1.
        pairs: Values above 0 and their changes; the last axis is that of the variables.

    Returns:
        The step, with a last axis of 1.

    Example:
        >>> float(reach(0.5, (ops.array([2.0, 1.0]), ops.array([-4.0, 3.0])))[0])
        0.25
    """
    falls = ops.concatenate([-change / value for value, change in pairs], axis=-1)
    fall = ops.max(falls, axis=-1, keepdims=True)
    return ops.where(fall > fraction, fraction / ops.maximum(fall, TINY), 1.0)


def center(gap: Tensor, left: Tensor, power: int, least: float = 0.0) -> Tensor:
    """Mehrotra's target for the products: small where the predictor closed most of the gap."""
    return ops.clip((left / gap) ** power, least, 1) * gap


def inside(value: Tensor) -> Tensor:
    """Keeps a variable of an interior-point method off its bound, also where it underflows."""
    return ops.maximum(value, TINY)


__all__ = [
    "LEAST_RIDGE",
    "MAX_STEPS",
    "NEWTON_RIDGE",
    "TINY",
    "center",
    "inside",
    "nonnegative_minimum",
    "reach",
]
