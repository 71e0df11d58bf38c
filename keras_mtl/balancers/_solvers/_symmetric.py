"""Systems with symmetric, positive definite matrices, which many tasks make expensive."""

from collections.abc import Callable

from keras import ops

from keras_mtl._backend import cholesky_or_nan, solve_by_factor
from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import size_of

MANY_TASKS = 128
"""From here on a factorization takes the place of an inverse, which takes five times as long.

With fewer tasks the inverse costs nothing, and keeps results as they have always been.
"""


def has_many_tasks(array: Tensor) -> bool | Tensor:
    """Returns whether the last axis of an array has `MANY_TASKS` or more entries.

    Example:
        >>> has_many_tasks(ops.ones((3, 3)))
        False
    """
    return size_of(array, axis=-1) >= MANY_TASKS


def symmetric_solver(matrices: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns a function that solves systems with positive definite matrices.

    Args:
        matrices: `[m, K, K]`, float64.

    Returns:
        A function from right sides, one per row, `[m, r, K]`, to solutions of this shape.

    Example:
        >>> solve = symmetric_solver(ops.array([[[2.0, 0.0], [0.0, 4.0]]], "float64"))
        >>> [float(value) for value in solve(ops.ones((1, 1, 2), "float64"))[0, 0]]
        [0.5, 0.25]
    """
    many = has_many_tasks(matrices)
    if many is False:
        inverse = ops.inv(matrices)
        return lambda rows: ops.matmul(rows, inverse)
    factor = ops.cond(many, lambda: cholesky_or_nan(matrices), lambda: ops.zeros_like(matrices))
    # A matrix that rounding has left without full rank has no factor: NaN.
    factored = ops.logical_and(many, ops.all(ops.isfinite(factor)))
    inverse = ops.cond(factored, lambda: ops.zeros_like(matrices), lambda: ops.inv(matrices))

    def by_factor(rows: Tensor) -> Tensor:
        columns = ops.transpose(rows, (0, 2, 1))
        return ops.transpose(solve_by_factor(factor, columns), (0, 2, 1))

    return lambda rows: ops.cond(
        factored, lambda: by_factor(rows), lambda: ops.matmul(rows, inverse)
    )


__all__ = ["MANY_TASKS", "has_many_tasks", "symmetric_solver"]
