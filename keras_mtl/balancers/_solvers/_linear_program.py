"""Small linear programs by pivots, in a bounded number.

A tableau `[rows, columns]` holds equations `sum_c T[r, c] x_c = T[r, -1]`, each solved for one
basic variable, and below them rows of objectives. Its solutions are exact: a vertex, not a
point near one. A pivot is a dozen operations on one small array.
"""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import count

_ZERO = 1e-9


def exchange(tableau: Tensor, basis: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Makes the variable of a column basic in a row, in place of the one that was there."""
    entries = ops.take(tableau, column, axis=1)
    scaled = ops.take(tableau, row, axis=0) / ops.take(entries, row)
    here = ops.equal(ops.arange(count(tableau)), row)
    tableau = ops.where(here[:, None], scaled[None], tableau - ops.outer(entries, scaled))
    return tableau, ops.where(here[: count(basis)], ops.cast(column, basis.dtype), basis)


def _blocking_row(tableau: Tensor, num_rows: int, column: Tensor) -> Tensor:
    """Where the growing variable of a column first takes a basic one to 0."""
    entries = ops.take(tableau, column, axis=1)[:num_rows]
    blocks = entries > _ZERO
    room = ops.maximum(tableau[:num_rows, -1], 0) / ops.where(blocks, entries, 1)
    return ops.argmin(ops.where(blocks, room, float("inf")))


def values_of(tableau: Tensor, basis: Tensor) -> Tensor:
    """The values of all variables: right-hand sides of the basic ones, 0 for the others."""
    right = ops.maximum(tableau[: count(basis), -1], 0)
    return ops.matmul(right, ops.one_hot(basis, count(tableau, axis=1) - 1, dtype="float64"))


def minimize_in_turn(
    tableau: Tensor, basis: Tensor, allowed: Tensor, num_objectives: int, max_pivots: int | Tensor
) -> tuple[Tensor, Tensor]:
    """The simplex method: minimizes the first objective, then the next without losing it, ...

    Args:
        tableau: Equations of a feasible basis, then a row of reduced costs for each objective.
        basis: The basic variable of each equation, int32.
        allowed: Which variables may become basic, `[columns - 1]`.
        num_objectives: How many such rows there are.
        max_pivots: A bound that only rounding could make it reach; the basis is feasible then.

    Returns:
        The tableau and basis of the optimum.
    """
    num_rows = count(basis)

    def enter(tableau: Tensor) -> tuple[Tensor, Tensor]:
        column, found, free = ops.zeros((), "int32"), False, allowed
        for row in range(-num_objectives, 0):
            costs = ops.where(free, tableau[row, :-1], float("inf"))
            column = ops.where(found, column, ops.cast(ops.argmin(costs), "int32"))
            found = ops.logical_or(found, ops.min(costs) < -_ZERO)
            # A later objective may only use what costs the earlier ones nothing.
            free = ops.logical_and(free, costs <= _ZERO)
        return column, found

    def go_on(step: Tensor, found: Tensor, *state: Tensor) -> Tensor:
        return ops.logical_and(step < max_pivots, found)

    def pivot(step: Tensor, found: Tensor, tableau: Tensor, basis: Tensor) -> tuple[Tensor, ...]:
        column, found = enter(tableau)
        row = _blocking_row(tableau, num_rows, column)
        changed, new_basis = exchange(tableau, basis, row, column)
        tableau = ops.where(found, changed, tableau)
        return step + 1, found, tableau, ops.where(found, new_basis, basis)

    start = (0, ops.ones((), "bool"), tableau, basis)
    _, _, tableau, basis = ops.while_loop(go_on, pivot, start)
    return tableau, basis
