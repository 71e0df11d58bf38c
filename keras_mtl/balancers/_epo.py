"""Exact Pareto optimal search."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    library_of,
    minimize_in_turn,
    nan_where_not_finite,
    pivot,
    size_of,
    values_of,
)

_LEAST_SHARE = 1e-12  # a smaller share of the losses counts as this much
_LEAST_RATIO = 1e-6  # of the shortest gradient to any other; longer ones count as this much longer


@keras.saving.register_keras_serializable(package="keras_mtl")
class EPO(GramianBalancer):
    """Leads to the Pareto-optimal point at which losses stand in the requested proportions.

    The aim is `r_1 L_1 = r_2 L_2 = ...`. With `l_i = r_i L_i / sum_j r_j L_j`,

        mu = sum_i l_i log(K l_i)        a_i = r_i (log(K l_i) - mu)

    mu says how far off the proportions are, and `d_bal = sum_i a_i g_i` is the ascent of mu. The
    weights alpha on the simplex, of `d = sum_i alpha_i g_i`, solve a linear program:

        balance, where mu > epsilon:  max <d, d_bal>   subject to
            <d, g_j> >= 0              for the largest r_j L_j
            <d, g_j> >= <d_bal, g_j>   for the other tasks, where that is not above 0
        descent, otherwise:           max sum_j <d, g_j>   subject to
            <d, g_j> >= 0              for all j
            <d, d_bal> >= min(0, max_j <g_j, d_bal>)

    A loss may thus rise while the proportions are wrong, but no further than balance needs.
    Choose it to train to one trade-off that is known beforehand, on fronts of any shape. It is
    not the right choice when the zeros of the losses have no common meaning (the rule sets the
    ratios of losses), or with noisy losses of small batches.

    Weights are a vertex of the constraints: some are 0 and they sum to 1. A task with gradient
    zero gets weight 0, and if all gradients are zero the weights are equal. Where no weights
    satisfy the last constraint of descent, it is missed by as little as possible. Losses below 0
    count as 0.

    Guide:
        Choose it when: losses should stand in a given proportion
        Not when: losses differ in scale and no ratio is known
        Source: Mahapatra and Rajan 2020, ICML

    Args:
        preference: r, above 0: one number for all tasks, K numbers, or a dict by task name. A
            task with twice the r comes to half the loss. Defaults to `1.0`: equal losses.
        epsilon: How far off the proportions may be, in units of mu. Defaults to `1e-4`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a preference is not above 0, or epsilon is negative.

    Example:
        >>> weights = EPO(preference=[2.0, 1.0]).weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [float(weight) for weight in weights]  # the first loss must fall first
        [1.0, 0.0]

    Reference: Mahapatra & Rajan (ICML 2020), "Multi-Task Learning with User Preferences", and
    the authors' code, whose restricted descent this is; see also arXiv:2108.00597. Their program
    is solved on the host; if it has no solution, they take weights in proportion to r.
    """

    def __init__(
        self,
        *,
        preference: float | Sequence[float] | Mapping[str, float] = 1.0,
        epsilon: float = 1e-4,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("preference", preference, 1e-6)
        check_numbers("epsilon", epsilon)
        self._preference, self.epsilon = preference, float(epsilon)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.preference = self.per_task("preference", self._preference)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights alpha `[K]` for a Gramian `[K, K]` and losses `[K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        nonzero = lengths > 0
        # Lengths in units of the shortest gradient.
        shortest = ops.min(ops.where(nonzero, lengths, float("inf")))
        lengths = ops.where(nonzero, lengths / ops.where(ops.any(nonzero), shortest, 1), 0)
        lengths = ops.minimum(lengths, 1 / _LEAST_RATIO)
        # Programs are solved for u_i = alpha_i |g_i|, the coefficients of unit gradients in d.
        # On the simplex, `sum_i alpha_i = 1` becomes `inverse_lengths . u = 1`.
        inverse_lengths = ops.where(nonzero, 1 / ops.where(nonzero, lengths, 1), 0)
        u = self._solve(cosines, lengths, inverse_lengths, ops.cast(losses, "float64"))
        weights = ops.where(ops.any(nonzero), u * inverse_lengths, 1)
        return nan_where_not_finite(weights / ops.sum(weights), gramian)

    def _solve(
        self, cosines: Tensor, lengths: Tensor, inverse_lengths: Tensor, losses: Tensor
    ) -> Tensor:
        """Computes the coefficients u `[K]` of unit gradients in the direction d."""
        preference = ops.cast(self.select_active(self.preference), "float64")
        weighted_losses, mu, a = _imbalance(losses, preference)
        # <d_bal, g_j> / |g_j| and <sum_i g_i, g_j> / |g_j|, both `[K]`.
        balance_slopes = ops.matmul(cosines, lengths * a)
        descent_slopes = ops.matmul(cosines, lengths)
        # <d, d_bal> is `balance . u`, up to a positive factor.
        balance = balance_slopes / ops.maximum(ops.max(ops.abs(balance_slopes)), 1e-30)
        falls = balance > 0  # tasks whose loss falls when mu falls
        # A floor below everything that weights on the simplex can reach: no constraint.
        no_floor = -2 * ops.sum(lengths)
        # Floors `[K]` of <d, g_j> / |g_j| in the program "balance"; without any task that falls,
        # no loss may rise.
        floors = ops.where(falls, no_floor, ops.maximum(balance_slopes, no_floor))
        largest = weighted_losses >= (1 - 1e-6) * ops.max(weighted_losses)
        floors = ops.where(ops.logical_or(largest, ops.logical_not(ops.any(falls))), 0, floors)
        # Which of the two programs: its objective, and its last floor, that of <d, d_bal>.
        balancing = mu > self.epsilon
        descent = descent_slopes / ops.max(ops.abs(descent_slopes) + 1e-30)
        objective = ops.where(balancing, balance, descent)
        reachable = ops.max(ops.where(inverse_lengths > 0, balance * lengths, -float("inf")))
        last_floor = ops.where(balancing, no_floor, ops.minimum(reachable, 0))
        floors = ops.append(ops.where(balancing, floors, 0), last_floor)
        return _maximize(objective, cosines, balance, floors, inverse_lengths)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        config = {"preference": plain(self._preference), "epsilon": self.epsilon}
        return {**super().get_config(), **config}


def _imbalance(losses: Tensor, preference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes `r_i L_i` `[K]`, mu and a `[K]`: the first equations of the docstring."""
    weighted_losses = preference * ops.maximum(losses, 0)
    total = ops.sum(weighted_losses)
    num_tasks = size_of(losses, "float64")
    safe_total = ops.where(total > 0, total, 1)
    loss_shares = ops.where(total > 0, weighted_losses / safe_total, 1 / num_tasks)  # l
    logs = ops.log(ops.maximum(loss_shares, _LEAST_SHARE) * num_tasks)
    mu = ops.sum(loss_shares * logs)
    return weighted_losses, mu, preference * (logs - mu)


def _maximize(
    objective: Tensor, cosines: Tensor, balance: Tensor, floors: Tensor, inverse_lengths: Tensor
) -> Tensor:
    """Maximizes `objective . u` over the u `[K]` that satisfy the constraints of a program.

    They are `u >= 0`, `inverse_lengths . u = 1`, `cosines u >= floors[:K]` and
    `balance . u >= floors[K]`, which gives way where the others leave no choice.
    """
    num_tasks = size_of(inverse_lengths)
    # The first vertex is all weight on the shortest gradient. The equation of the simplex is
    # divided by that gradient's entry.
    vertex = ops.argmax(inverse_lengths)
    simplex_row = inverse_lengths / ops.take(inverse_lengths, vertex)
    simplex_sum = 1 / ops.take(inverse_lengths, vertex)
    constraints = ops.concatenate([cosines, balance[None]])  # [K + 1, K]
    tableau = _tableau(objective, constraints, floors, vertex, simplex_row, simplex_sum)
    # Basic are the K + 1 distances from the floors, and u at the vertex.
    basis = ops.arange(num_tasks, 2 * num_tasks + 1)
    basis = ops.append(basis, ops.cast(vertex, "int32"))
    first_shortfall, last_shortfall = 2 * num_tasks + 1, 2 * num_tasks + 2
    tableau, basis = _make_feasible(tableau, basis, slice(0, num_tasks), first_shortfall)
    tableau, basis = _make_feasible(tableau, basis, slice(num_tasks, None), last_shortfall)
    allowed = ops.concatenate([inverse_lengths > 0, ops.ones((num_tasks + 3,), "bool")])
    tableau, basis = minimize_in_turn(tableau, basis, allowed, 3, 8 * num_tasks + 20)
    return values_of(tableau, basis)[:num_tasks]


def _tableau(
    objective: Tensor,
    constraints: Tensor,
    floors: Tensor,
    vertex: Tensor,
    simplex_row: Tensor,
    simplex_sum: Tensor,
) -> Tensor:
    """Builds the tableau `[K + 5, 2K + 4]` of a program, solved for the basis at a vertex.

    Columns: u (K of them), the distances from the floors (K + 1), the shortfall from the first K
    floors, the shortfall from the last one, and the right-hand sides. Rows: `constraints u -
    distances + shortfalls = floors`, which does not hold u at the vertex, since
    `simplex_row . u = simplex_sum` has been put in; that equation itself; and three objectives to
    be minimized in this order: the first shortfall, the last one, and minus the program's.
    """
    num_tasks = size_of(simplex_row)
    at_vertex = ops.take(constraints, vertex, axis=1)
    # Which of the two shortfalls a floor has, [K + 1, 2].
    shortfalls = library_of(num_tasks).arange(num_tasks + 1) // num_tasks
    shortfalls = ops.one_hot(shortfalls, 2, dtype="float64")
    distances = ops.eye(num_tasks + 1, dtype="float64")
    right_sides = at_vertex * simplex_sum - floors
    columns = [
        ops.outer(at_vertex, simplex_row) - constraints,
        distances,
        -shortfalls,
        right_sides[:, None],
    ]
    zeros = ops.zeros((num_tasks + 3,), "float64")
    simplex = ops.concatenate([simplex_row, zeros, simplex_sum[None]])
    shortfall_costs = ops.one_hot(
        [2 * num_tasks + 1, 2 * num_tasks + 2], 2 * num_tasks + 4, dtype="float64"
    )
    reduced_costs = ops.take(objective, vertex) * simplex_row - objective
    costs = ops.concatenate([reduced_costs, zeros, zeros[:1]])
    return ops.concatenate(
        [ops.concatenate(columns, axis=1), simplex[None], shortfall_costs, costs[None]]
    )


def _make_feasible(
    tableau: Tensor, basis: Tensor, rows: slice, shortfall: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Makes a shortfall basic if one of the right-hand sides of these rows is below 0.

    It enters in the row with the lowest right-hand side, so that none of them is below 0 then.
    """
    right_sides = tableau[: size_of(basis) - 1, -1][rows]
    row = ops.cast(ops.argmin(right_sides), "int32") + rows.start
    column = ops.full((), shortfall, "int32")
    new_tableau, new_basis = pivot(tableau, basis, row, column)
    infeasible = ops.min(right_sides) < 0
    return ops.where(infeasible, new_tableau, tableau), ops.where(infeasible, new_basis, basis)
