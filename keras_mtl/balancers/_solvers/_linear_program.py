"""Small linear programs by pivots, in a bounded number.

A tableau `[rows, columns]` holds equations `sum_c T[r, c] x_c = T[r, -1]`, each solved for one
basic variable, and below them rows of objectives. Its solutions are exact: a vertex, not a
point near one. A pivot is a dozen operations on one small array.
"""

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._sizes import size_of

_ZERO = 1e-9


def pivot(
    tableau: Tensor, basis: Tensor, pivot_row: Tensor, pivot_column: Tensor
) -> tuple[Tensor, Tensor]:
    """Makes a variable basic in a row, in place of the variable that was basic there.

    Args:
        tableau: The tableau, `[rows, columns]`.
        basis: The basic variable of each equation, int32.
        pivot_row: Number of the equation, a scalar.
        pivot_column: Number of the variable that becomes basic, a scalar.

    Returns:
        The new tableau and basis.
    """
    entries = ops.take(tableau, pivot_column, axis=1)
    # The equation, divided by its entry in the pivot column, is subtracted from all other rows
    # so that their entries in that column become 0.
    scaled = ops.take(tableau, pivot_row, axis=0) / ops.take(entries, pivot_row)
    is_pivot_row = ops.equal(ops.arange(size_of(tableau)), pivot_row)
    tableau = ops.where(is_pivot_row[:, None], scaled[None], tableau - ops.outer(entries, scaled))
    is_pivot_equation = is_pivot_row[: size_of(basis)]  # without the rows of objectives
    return tableau, ops.where(is_pivot_equation, ops.cast(pivot_column, basis.dtype), basis)


def _blocking_row(tableau: Tensor, num_equations: int | Tensor, pivot_column: Tensor) -> Tensor:
    """Returns the equation whose basic variable is the first to fall to 0.

    That is the ratio test: as the variable of the pivot column grows from 0, the basic variable
    of equation r falls by `T[r, column]` per unit.
    """
    entries = ops.take(tableau, pivot_column, axis=1)[:num_equations]
    blocks = entries > _ZERO
    room = ops.maximum(tableau[:num_equations, -1], 0) / ops.where(blocks, entries, 1)
    return ops.argmin(ops.where(blocks, room, float("inf")))


def values_of(tableau: Tensor, basis: Tensor) -> Tensor:
    """Returns the values of all variables, `[columns - 1]`.

    A basic variable has the right-hand side of its equation as its value, and all others have 0.
    """
    right_sides = ops.maximum(tableau[: size_of(basis), -1], 0)
    num_variables = size_of(tableau, axis=1) - 1
    return ops.matmul(right_sides, ops.one_hot(basis, num_variables, dtype="float64"))


def minimize_in_turn(
    tableau: Tensor, basis: Tensor, allowed: Tensor, num_objectives: int, max_pivots: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Minimizes several objectives in order by the simplex method.

    The first objective is minimized, then the second among the solutions that are optimal for
    the first, and so on.

    Args:
        tableau: Equations of a feasible basis, then a row of reduced costs for each objective.
        basis: The basic variable of each equation, int32.
        allowed: Which variables may become basic, bool `[columns - 1]`.
        num_objectives: The number of rows of objectives.
        max_pivots: A bound that only rounding could make it reach; the basis is feasible then.

    Returns:
        The tableau and basis of the optimum.
    """
    num_equations = size_of(basis)

    def choose_column(tableau: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the variable with the lowest reduced cost, and whether one is below 0."""
        pivot_column, is_improvable, free = ops.zeros((), "int32"), False, allowed
        for row in range(-num_objectives, 0):
            costs = ops.where(free, tableau[row, :-1], float("inf"))
            cheapest = ops.cast(ops.argmin(costs), "int32")
            pivot_column = ops.where(is_improvable, pivot_column, cheapest)
            is_improvable = ops.logical_or(is_improvable, ops.min(costs) < -_ZERO)
            # A later objective may only use variables that cost the earlier ones nothing.
            free = ops.logical_and(free, costs <= _ZERO)
        return pivot_column, is_improvable

    def is_unsolved(step: Tensor, is_improvable: Tensor, *state: Tensor) -> Tensor:
        return ops.logical_and(step < max_pivots, is_improvable)

    def improve(
        step: Tensor, is_improvable: Tensor, tableau: Tensor, basis: Tensor
    ) -> tuple[Tensor, ...]:
        pivot_column, is_improvable = choose_column(tableau)
        pivot_row = _blocking_row(tableau, num_equations, pivot_column)
        new_tableau, new_basis = pivot(tableau, basis, pivot_row, pivot_column)
        # The last round only finds out that no cost is below 0: it keeps what it got.
        tableau = ops.where(is_improvable, new_tableau, tableau)
        return step + 1, is_improvable, tableau, ops.where(is_improvable, new_basis, basis)

    start = (0, ops.ones((), "bool"), tableau, basis)
    _, _, tableau, basis = ops.while_loop(is_unsolved, improve, start)
    return tableau, basis


__all__ = ["minimize_in_turn", "pivot", "values_of"]
