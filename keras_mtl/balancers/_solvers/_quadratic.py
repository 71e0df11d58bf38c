"""Convex quadratics over the nonnegative numbers, in `keras.ops` and a bounded number of steps.

They are solved by exchanging which variables are free, all wrong ones at once (block principal
pivoting, after Kostreva and after Judice & Pires): two to four linear systems in practice. On
rare problems these exchanges go round in circles. A primal-dual interior-point method with
Mehrotra's predictor and corrector (Nocedal & Wright, Numerical Optimization, 2006, sections 16.6
and 19.3) solves those.
"""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._gramian import LEAST_RIDGE
from keras_mtl.balancers._solvers._interior_point import (
    MAX_STEPS,
    NEWTON_RIDGE,
    centering_target,
    keep_positive,
    step_to_boundary,
)
from keras_mtl.balancers._solvers._quadratic_exchange import minimum_of_many
from keras_mtl.balancers._solvers._sizes import larger, size_of
from keras_mtl.balancers._solvers._symmetric import has_many_tasks, symmetric_solver

_MAX_EXCHANGES = 12
_TOLERANCE = 1e-10


def nonnegative_minimum(matrix: Tensor, linear: Tensor, ridge: float | Tensor) -> Tensor:
    """Minimizes `u^T M u / 2 + b^T u` over `u >= 0`, for several b at once.

    Variables with equal rows in M and equal entries in b get equal values: where the minimum is
    not unique, it is that of the smallest u (as far as the ridge tells one from another).

    Args:
        matrix: M, positive semi-definite, `[K, K]`, float64, with a diagonal near 1.
        linear: One b per row, `[m, K]`, float64.
        ridge: A number to add to the diagonal of M to make it definite: no less than its error.
            The result is corrected for it.

    Returns:
        One u per row, `[m, K]`, float64.

    Example:
        >>> matrix = ops.array([[1.0, 0.5], [0.5, 1.0]], "float64")
        >>> u = nonnegative_minimum(matrix, ops.array([[-1.0, 0.25]], "float64"), 1e-15)
        >>> [round(abs(float(value)), 4) for value in u[0]]
        [1.0, 0.0]
    """
    # u is proportional to b, so that b may be brought to entries of size 1.
    scale = ops.max(ops.abs(linear), axis=1, keepdims=True)
    linear = linear / ops.where(scale > 0, scale, 1)
    ridge = larger(ridge, LEAST_RIDGE)
    many = has_many_tasks(matrix)
    if many is False:
        return scale * _minimum_of_few(matrix, linear, ridge)

    def of_many(row: Tensor) -> Tensor:
        u, solved = minimum_of_many(matrix, row, ridge)
        ridged = matrix + ridge * ops.eye(size_of(matrix), dtype="float64")
        return ops.cond(solved, lambda: u, lambda: _interior_minimum(ridged, row[None])[0])

    def by_rows() -> Tensor:
        # One after the other: a matrix for each of many rows would fill the memory.
        return of_many(linear[0])[None] if linear.shape[0] == 1 else ops.map(of_many, linear)

    return scale * ops.cond(many, by_rows, lambda: _minimum_of_few(matrix, linear, ridge))


def _minimum_of_few(matrix: Tensor, linear: Tensor, ridge: float | Tensor) -> Tensor:
    """Minimizes as `nonnegative_minimum` does, with a matrix of its own for each row of b."""
    eye = ops.eye(size_of(matrix), dtype="float64")
    ridged = matrix + ridge * eye

    def is_unsolved(step: Tensor, free: Tensor, u: Tensor, wrong: Tensor) -> Tensor:
        return ops.logical_and(step < _MAX_EXCHANGES, ops.any(wrong))

    def exchange_sets(step: Tensor, free: Tensor, u: Tensor, wrong: Tensor) -> tuple[Tensor, ...]:
        # Free variables solve M u = -b among themselves; the others are 0.
        free = ops.logical_xor(free, wrong)
        both_free = ops.logical_and(free[:, :, None], free[:, None, :])  # [m, K, K]
        solve = symmetric_solver(ops.where(both_free, ridged, eye))
        u = -solve(ops.where(free, linear, 0)[:, None, :])[:, 0, :]
        # Two steps of refinement with M itself leave the third power of the ridge's influence.
        for _ in range(2):
            residual = ops.where(free, ops.matmul(u, matrix) + linear, 0)
            u = u - solve(residual[:, None, :])[:, 0, :]
        largest = ops.maximum(ops.max(ops.abs(u), axis=1, keepdims=True), 1)
        gradient = ops.matmul(u, matrix) + linear
        # A free variable below 0 is wrong, and so is one at 0 whose growth would lower the value.
        wrong = ops.where(free, u / largest, gradient) < -_TOLERANCE
        return step + 1, free, u, wrong

    # At the start no variable is free: u = 0, and the gradient there is b.
    wrong = linear < -_TOLERANCE
    free = ops.zeros_like(wrong)
    start = (0, free, ops.zeros_like(linear), wrong)
    _, _, u, wrong = ops.while_loop(is_unsolved, exchange_sets, start)
    return ops.cond(
        ops.any(wrong), lambda: _interior_minimum(ridged, linear), lambda: ops.maximum(u, 0)
    )


def _apply(matrices: Tensor, rows: Tensor) -> Tensor:
    """Multiplies symmetric matrices `[m, K, K]` by one vector each, `[m, K]`."""
    return ops.matmul(rows[:, None, :], matrices)[:, 0, :]


def _interior_minimum(matrix: Tensor, linear: Tensor) -> Tensor:
    """Minimizes as `nonnegative_minimum` does, by an interior-point method.

    Conditions, with z the multiplier of u >= 0: `M u + b - z = 0`, `u z = 0`, `u >= 0`, `z >= 0`.
    A problem is a row of `u` and `z`, `[m, K]`.
    """
    eye = ops.eye(size_of(matrix), dtype="float64")

    def is_unsolved(step: Tensor, u: Tensor, multiplier: Tensor) -> Tensor:
        return ops.logical_and(step < MAX_STEPS, ops.max(ops.mean(u * multiplier, axis=1)) > 1e-15)

    def improve(step: Tensor, u: Tensor, multiplier: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        residual = ops.matmul(u, matrix) + linear - multiplier
        inverse = ops.inv(matrix + (multiplier / u + NEWTON_RIDGE)[:, :, None] * eye)

        def newton(products: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """Solves `M du - dz = -residual`, `z du + u dz = products`."""
            u_change = _apply(inverse, products / u - residual)
            multiplier_change = (products - multiplier * u_change) / u
            pairs = (u, u_change), (multiplier, multiplier_change)
            return u_change, multiplier_change, step_to_boundary(0.995, *pairs)

        # Predictor: products of 0.
        u_change, multiplier_change, length = newton(-u * multiplier)
        gap = ops.mean(u * multiplier, axis=1, keepdims=True)
        gap_after_predictor = ops.mean(
            (u + length * u_change) * (multiplier + length * multiplier_change),
            axis=1,
            keepdims=True,
        )
        # Corrector: products at the target, less the second-order term that Newton leaves out.
        target = centering_target(gap, gap_after_predictor, 3)
        u_change, multiplier_change, length = newton(
            target - u * multiplier - u_change * multiplier_change
        )
        u = keep_positive(u + length * u_change)
        return step + 1, u, keep_positive(multiplier + length * multiplier_change)

    # Start at u = 1, with multipliers above 0 even where the gradient is below it.
    u = ops.ones_like(linear)
    gradient = ops.matmul(u, matrix) + linear
    shift = ops.maximum(1e-3, ops.max(ops.abs(gradient), axis=1, keepdims=True))
    start = (0, u, ops.maximum(gradient, 0) + shift)
    return ops.while_loop(is_unsolved, improve, start)[1]


__all__ = ["nonnegative_minimum"]
