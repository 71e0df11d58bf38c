"""Systems among some of many variables, at the cost of those that are free."""

from collections.abc import Callable

from keras import ops

from keras_mtl._backend import cholesky_or_nan, solve_by_factor
from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._gramian import TINY
from keras_mtl.balancers._solvers._sizes import size_of

_PRECISION = 1e-24  # of a squared residual
_FIRST_STEPS = 6
_PARTS = (0.25, 0.5, 0.75)


def solve_free(matrix: Tensor, right: Tensor, free: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns the solutions of `M x = b` among the free variables; the other variables are 0.

    A Cholesky factor takes the cube of the number of its rows, so that it is made of the free rows
    alone, filled up to the next quarter of K: sizes stay static. Where nearly all variables are
    free, conjugate gradients are tried first. They take a tenth of the time if the matrix has a
    condition of 10 or less beside a few large eigenvalues, which is usual with more dimensions than
    tasks, and notice it after a few products if it has not.

    Args:
        matrix: M, positive semi-definite, `[K, K]`, float64.
        right: One b per row, `[r, K]`.
        free: Which variables are free, bool `[K]`.
        ridge: A number that makes M definite on the diagonal. The result is corrected for it.

    Returns:
        One x per row, `[r, K]`; not finite where rounding has left the free rows without full rank.

    Example:
        >>> matrix = ops.array([[2.0, 1.0], [1.0, 2.0]], "float64")
        >>> right = ops.array([[4.0, 4.0]], "float64")
        >>> [round(float(v), 6) for v in solve_free(matrix, right, ops.array([True, False]), 0)[0]]
        [2.0, 0.0]
    """
    size = size_of(right, axis=1)
    count = ops.sum(ops.cast(free, "int32"))

    def by_products() -> Tensor:
        x, solved = conjugate_gradients(matrix, right, free)
        return ops.cond(solved, lambda: x, lambda: _factored(matrix, right, free, ridge))

    def at_most(room: int | Tensor, otherwise: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return lambda: ops.cond(
            count <= room, lambda: _by_factor(matrix, right, free, ridge, room), otherwise
        )

    solution = by_products
    for part in reversed(_PARTS):
        solution = at_most(_part_of(size, part), solution)
    return solution()


def _part_of(size: int | Tensor, part: float) -> int | Tensor:
    quarters = round(4 * part)
    return size * quarters // 4


def _by_factor(
    matrix: Tensor, right: Tensor, free: Tensor, ridge: float | Tensor, room: int | Tensor
) -> Tensor:
    """Returns the solutions `[r, K]` by a factor of `room` rows, which hold all free ones."""
    order = ops.argsort(ops.cast(ops.logical_not(free), "int32"))  # the free ones first
    rows = order[:room]
    part = ops.take(ops.take(matrix, rows, axis=0), rows, axis=1)  # [room, room]
    x = _factored(part, ops.take(right, rows, axis=1), ops.take(free, rows), ridge)
    filled = ops.concatenate([x, ops.zeros_like(right[:, room:])], axis=1)
    return ops.take(filled, ops.argsort(order), axis=1)


def _factored(matrix: Tensor, right: Tensor, free: Tensor, ridge: float | Tensor) -> Tensor:
    """Returns the solutions `[r, n]` by a factor of all rows of the matrix, `[n, n]`."""
    # Rows that are not free become those of the identity matrix, with a right side of 0.
    part = ops.where(ops.logical_and(free[:, None], free[None, :]), matrix, 0)
    ridged = part + ops.diag(ops.where(free, ops.cast(ridge, "float64"), 1))
    right = ops.where(free, right, 0)
    factor = cholesky_or_nan(ridged)

    def solve(rows: Tensor) -> Tensor:
        return ops.transpose(solve_by_factor(factor[None], ops.transpose(rows)[None])[0])

    x = solve(right)
    # Two steps of refinement with M itself leave the third power of the ridge's influence.
    for _ in range(2):
        x = x + solve(right - ops.matmul(x, part))
    return x


def conjugate_gradients(matrix: Tensor, right: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the solutions `[r, K]` among the free variables, and whether they are solutions.

    It ends early where they are far off. Variables with equal rows get equal values, and where
    there are many solutions it finds the shortest: every step stays among the images of b.

    Args:
        matrix, right, free: As for `solve_free`.

    Example:
        >>> matrix = ops.array([[2.0, 2.0], [2.0, 2.0]], "float64")
        >>> right, free = ops.array([[4.0, 4.0]], "float64"), ops.array([True, True])
        >>> x, solved = conjugate_gradients(matrix, right, free)
        >>> [round(float(value), 6) for value in x[0]], bool(solved)
        ([1.0, 1.0], True)
    """
    right = ops.where(free, right, 0)
    total = ops.sum(right * right, axis=1, keepdims=True)  # [r, 1]

    def is_unsolved(step: Tensor, x: Tensor, residual: Tensor, *rest: Tensor) -> Tensor:
        square = ops.sum(residual * residual, axis=1, keepdims=True)
        # A digit of the square per step, but for the first steps, which find large eigenvalues.
        limit = total * 10.0 ** (_FIRST_STEPS - ops.cast(step, "float64"))
        return ops.logical_and(ops.any(square > _PRECISION * total), ops.all(square <= limit))

    def improve(step: Tensor, x: Tensor, residual: Tensor, along: Tensor) -> tuple[Tensor, ...]:
        image = ops.transpose(ops.matmul(matrix, ops.transpose(along)))  # by columns: faster
        image = ops.where(free, image, 0)
        square = ops.sum(residual * residual, axis=1, keepdims=True)
        length = square / ops.maximum(ops.sum(along * image, axis=1, keepdims=True), TINY)
        residual = residual - length * image
        ratio = ops.sum(residual * residual, axis=1, keepdims=True) / ops.maximum(square, TINY)
        return step + 1, x + length * along, residual, residual + ratio * along

    start = (0, ops.zeros_like(right), right, right)
    _, x, residual, _ = ops.while_loop(is_unsolved, improve, start)
    square = ops.sum(residual * residual, axis=1, keepdims=True)
    return x, ops.all(square <= _PRECISION * total)


__all__ = ["conjugate_gradients", "solve_free"]
