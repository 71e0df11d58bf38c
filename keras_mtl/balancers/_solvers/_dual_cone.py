"""Directions in the cone that no task's gradient points away from, in `keras.ops`.

Gradients are known by the cosines between them; a direction is given by coefficients of the unit
gradients. `ridge` is the possible error of the cosines' eigenvalues: see `resolution`.
"""

from collections.abc import Callable

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._free_system import solve_free
from keras_mtl.balancers._solvers._gramian import LEAST_RIDGE, TINY
from keras_mtl.balancers._solvers._quadratic import nonnegative_minimum
from keras_mtl.balancers._solvers._sizes import larger, size_of
from keras_mtl.balancers._solvers._symmetric import has_many_tasks

_MAX_STEPS = 30


def project_onto_dual_cone(cosines: Tensor, targets: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns the nearest vectors that conflict with none of the unit vectors.

    With U the unit vectors, `min |x - U^T u|` subject to `U x >= 0` has the solution `x = U^T v`
    for `v = argmin v^T C v` subject to `v >= u`.

    Args:
        cosines: C, `[K, K]`, float64.
        targets: Coefficients u of the vectors to project, not negative, one vector per row,
            `[m, K]`, float64.
        ridge: Error of the eigenvalues of C.

    Returns:
        Coefficients v, one vector per row, `[m, K]`.

    Example:
        >>> cosines = ops.array([[1.0, -0.5], [-0.5, 1.0]], "float64")
        >>> [float(v) for v in project_onto_dual_cone(cosines, ops.eye(2, dtype="float64"), 0)[0]]
        [1.0, 0.5]

    Reference: Quinton & Rey (2024), arXiv:2406.16232, proposition 1.
    """
    if cosines.shape[0] == 2:
        # v_1 grows until v is at a right angle to the other unit vector: v_1 = -cos u_2.
        return ops.maximum(targets, -cosines[0, 1] * ops.flip(targets, axis=1))
    # With v = u + w: w minimizes w^T C w / 2 + (C u)^T w over w >= 0.
    return targets + nonnegative_minimum(cosines, ops.matmul(targets, cosines), ridge)


def equal_projections(cosines: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns coefficients of a direction along which all unit vectors lie equally far.

    Solves `C v = 1`; where that has no solution, v is long and the direction next to nothing.

    Args:
        cosines: C, `[K, K]`, float64.
        ridge: Error of the eigenvalues of C.

    Returns:
        Coefficients v, `[K]`.

    Example:
        >>> cosines = ops.array([[1.0, -0.5], [-0.5, 1.0]], "float64")
        >>> [round(float(v), 4) for v in equal_projections(cosines, 1e-15)]
        [2.0, 2.0]
    """
    ridge = larger(ridge, LEAST_RIDGE)
    if has_many_tasks(cosines) is False:
        return _equal_projections_of_few(cosines, ridge)
    return _solve_many(
        cosines,
        ops.ones_like(cosines[0]),
        ridge,
        lambda: _equal_projections_of_few(cosines, ridge),
    )


def _equal_projections_of_few(cosines: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns v as `equal_projections` does, by an inverse."""
    eye = ops.eye(size_of(cosines), dtype="float64")
    inverse = ops.inv(cosines + ridge * eye)
    v = ops.sum(inverse, axis=1, keepdims=True)
    # Two steps of refinement with C itself leave the third power of the ridge's influence.
    for _ in range(2):
        v = v + ops.matmul(inverse, 1 - ops.matmul(cosines, v))
    return v[:, 0]


def fair_point(
    cosines: Tensor, log_products: Tensor, alpha: float, ridge: float | Tensor
) -> Tensor:
    """Returns the positive x with `log x + alpha * log(C x) = log_products`.

    It is unique: the minimum of a convex function, `x^T C x / 2` less a concave utility of x.
    Newton's method runs on x and `z = C x` separately, each kept above a tenth of its former
    value. It takes four to eight steps where the vectors are not nearly dependent, whatever
    alpha.

    Args:
        cosines: C, `[K, K]`, float64.
        log_products: `[K]`, float64; with their mean near 0.
        alpha: A number above 0.
        ridge: Error of the eigenvalues of C; it bounds x where gradients cancel out.

    Returns:
        x, `[K]`.

    Example:
        >>> cosines = ops.array([[1.0, -0.5], [-0.5, 1.0]], "float64")
        >>> x = fair_point(cosines, ops.zeros(2, "float64"), 1.0, 1e-15)
        >>> [round(float(value), 4) for value in x]  # 1 / sqrt(1 + cosine)
        [1.4142, 1.4142]
    """
    ridged = cosines + ridge * ops.eye(size_of(cosines), dtype="float64")

    def is_unsolved(step: Tensor, x: Tensor, z: Tensor, change: Tensor) -> Tensor:
        # The last change was a Newton step: after one of 1e-5 the error is near 1e-10.
        return ops.logical_and(step < _MAX_STEPS, change > 1e-5)

    def improve(step: Tensor, x: Tensor, z: Tensor, change: Tensor) -> tuple[Tensor, ...]:
        # The equations z = C x and log x + alpha log z = log_products, to first order:
        #     dz = C dx - image_error      dx / x + alpha dz / z = log_error
        # With p = z / alpha, elimination of dz gives (C + diag(p / x)) dx = p log_error +
        # image_error.
        image_error = z - ops.matmul(ridged, x[:, None])[:, 0]
        log_error = log_products - ops.log(x) - alpha * ops.log(z)
        pull = z / alpha
        dx = _solve(ridged + ops.diag(pull / x), pull * log_error + image_error)
        dz = ops.matmul(ridged, dx[:, None])[:, 0] - image_error
        change = ops.maximum(_largest(dx) / _largest(x), _largest(dz) / _largest(z))
        return step + 1, _bounded_step(x, dx), _bounded_step(z, dz), change

    # Exact for orthogonal vectors, for which C x = x.
    start = ops.exp(log_products / (1 + alpha))
    change = ops.full((), 1.0, "float64")
    return ops.while_loop(is_unsolved, improve, (0, start, start, change))[1]


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Returns the solution `[K]` of a system with a positive definite matrix."""

    def by_inverse() -> Tensor:
        return ops.matmul(ops.inv(matrix), right[:, None])[:, 0]

    if has_many_tasks(matrix) is False:
        return by_inverse()
    return _solve_many(matrix, right, 0.0, by_inverse)


def _solve_many(
    matrix: Tensor, right: Tensor, ridge: float | Tensor, of_few: Callable[[], Tensor]
) -> Tensor:
    """Returns the solution `[K]` for many tasks; that of `of_few` for few.

    `of_few` also solves what has no factor: rounding may leave the matrix without full rank.
    """
    free = ops.ones_like(right, "bool")
    x = ops.cond(
        has_many_tasks(matrix),
        lambda: solve_free(matrix, right[None], free, ridge)[0],
        lambda: ops.where(free, float("nan"), right),
    )
    return ops.cond(ops.all(ops.isfinite(x)), lambda: x, of_few)


def _largest(values: Tensor) -> Tensor:
    return ops.max(ops.abs(values))


def _bounded_step(value: Tensor, change: Tensor) -> Tensor:
    """Returns the changed value, at least a tenth of the value."""
    return ops.maximum(ops.maximum(value + change, 0.1 * value), TINY)


__all__ = ["equal_projections", "fair_point", "project_onto_dual_cone"]
