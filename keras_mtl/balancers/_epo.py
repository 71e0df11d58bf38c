"""Exact Pareto optimal search."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, plain
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    count,
    exchange,
    library_of,
    minimize_in_turn,
    nan_where_not_finite,
    values_of,
)

_LEAST = 1e-12  # the share of a loss that counts as none
_LONGEST = 1e-6  # gradients are as good as this much longer than the shortest at most


@keras.saving.register_keras_serializable(package="keras_mtl")
class EPO(GramianBalancer):
    """Goes to the Pareto-optimal point at which losses stand in the proportions asked for.

    The aim is `r_1 L_1 = r_2 L_2 = ...`. With `l_i = r_i L_i / sum_j r_j L_j`,

        mu = sum_i l_i log(K l_i)        a_i = r_i (log(K l_i) - mu)

    mu says how far off the proportions are, and `d_bal = sum_i a_i g_i` is the ascent of mu. The
    weights alpha on the simplex, of `d = sum_i alpha_i g_i`, solve a linear program:

        balance, where mu > epsilon:  max <d, d_bal>   subject to
            <d, g_j> >= 0              for the largest r_j L_j
            <d, g_j> >= <d_bal, g_j>   for the others, where that is not above 0
        descent, otherwise:           max sum_j <d, g_j>   subject to
            <d, g_j> >= 0              for all j
            <d, d_bal> >= min(0, max_j <g_j, d_bal>)

    so that a loss may rise while the proportions are wrong, but no further than balance needs.
    Choose it to train to one trade-off that is known beforehand, on fronts of any shape. Not the
    right choice where losses have no common meaning of zero (it is their ratios that are set),
    or with noisy losses of small batches.

    Weights are a vertex of the constraints: some are 0 and they sum to 1. A task with gradient
    zero gets weight 0, and if all are zero the weights are equal. Where no weights satisfy the
    last constraint of descent, it is missed by as little as can be. Losses below 0 count as 0.

    Args:
        preference: r, above 0: a number for all, K of them, or a dict by task name. A task with
            twice the r comes to half the loss. Defaults to `1.0`: equal losses.
        epsilon: How far off the proportions may be, in units of mu. Defaults to `1e-4`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a preference is not above 0, or epsilon is negative.

    Example:
        >>> weights = EPO(preference=[2.0, 1.0]).weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [float(weight) for weight in weights]  # the first loss must fall first
        [1.0, 0.0]

    Reference: Mahapatra & Rajan (ICML 2020), "Multi-Task Learning with User Preferences", and
    the authors' code, whose restricted descent this is; see also arXiv:2108.00597. Theirs is
    solved on the host; a program without solution gives them weights in proportion to r.
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
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._r = self.per_task("preference", self._preference)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the direction, for a Gramian `[K, K]` and losses `[K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        takes_part = lengths > 0
        shortest = ops.min(ops.where(takes_part, lengths, float("inf")))
        lengths = ops.where(takes_part, lengths / ops.where(ops.any(takes_part), shortest, 1), 0)
        lengths = ops.minimum(lengths, 1 / _LONGEST)
        # Programs are solved for u_i = alpha_i |g_i|, with the shortest gradient of length 1.
        shares = ops.where(takes_part, 1 / ops.where(takes_part, lengths, 1), 0)
        u = self._solve(cosines, lengths, shares, ops.cast(losses, "float64"))
        weights = ops.where(ops.any(takes_part), u * shares, 1)
        return nan_where_not_finite(weights / ops.sum(weights), gramian)

    def _solve(self, cosines: Tensor, lengths: Tensor, shares: Tensor, losses: Tensor) -> Tensor:
        """The coefficients `[K]` of unit gradients in the direction."""
        weighted, mu, a = _off_balance(losses, ops.cast(self.present(self._r), "float64"))
        balancing = ops.matmul(cosines, lengths * a)
        steepest = ops.matmul(cosines, lengths)
        slope = balancing / ops.maximum(ops.max(ops.abs(balancing)), 1e-30)
        falls = slope > 0
        # A floor below everything that weights on the simplex can reach: no constraint.
        none = -2 * ops.sum(lengths)
        floors = ops.where(falls, none, ops.maximum(balancing, none))
        worst = weighted >= (1 - 1e-6) * ops.max(weighted)
        floors = ops.where(ops.logical_or(worst, ops.logical_not(ops.any(falls))), 0, floors)
        unfair = mu > self.epsilon
        objective = ops.where(unfair, slope, steepest / ops.max(ops.abs(steepest) + 1e-30))
        reachable = ops.max(ops.where(shares > 0, slope * lengths, -float("inf")))
        restriction = ops.where(unfair, none, ops.minimum(reachable, 0))
        floors = ops.append(ops.where(unfair, floors, 0), restriction)
        return _program(objective, cosines, slope, floors, shares)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        config = {"preference": plain(self._preference), "epsilon": self.epsilon}
        return {**super().get_config(), **config}


def _off_balance(losses: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """r L, and how far it is from being equal: mu, and a."""
    weighted = r * ops.maximum(losses, 0)
    total = ops.sum(weighted)
    number = count(losses, "float64")
    parts = ops.where(total > 0, weighted / ops.where(total > 0, total, 1), 1 / number)
    logs = ops.log(ops.maximum(parts, _LEAST) * number)
    mu = ops.sum(parts * logs)
    return weighted, mu, r * (logs - mu)


def _program(
    objective: Tensor, cosines: Tensor, slope: Tensor, floors: Tensor, shares: Tensor
) -> Tensor:
    """Maximizes `objective . u` for u >= 0, `shares . u = 1`, `C u >= floors`, `slope . u >= ...`.

    The last floor, that of the slope, gives way where the others leave no choice.
    """
    num = count(shares)
    first = ops.argmax(shares)  # the whole simplex is spanned from this vertex
    unit, level = shares / ops.take(shares, first), 1 / ops.take(shares, first)
    sides = ops.concatenate([cosines, slope[None]])
    tableau = _tableau(objective, sides, floors, first, unit, level)
    basis = ops.append(ops.arange(num, 2 * num + 1), ops.cast(first, "int32"))
    for column, rows in ((2 * num + 1, slice(0, num)), (2 * num + 2, slice(num, None))):
        tableau, basis = _admit(tableau, basis, rows, column)
    allowed = ops.concatenate([shares > 0, ops.ones((num + 3,), "bool")])
    tableau, basis = minimize_in_turn(tableau, basis, allowed, 3, 8 * num + 20)
    return values_of(tableau, basis)[:num]


def _tableau(
    objective: Tensor, sides: Tensor, floors: Tensor, first: Tensor, unit: Tensor, level: Tensor
) -> Tensor:
    """The program at the vertex `first`, where `unit . u = level`.

    Variables: u, the distances s from the floors (of K, and one more), and what is missing to
    the first K floors and to the last. Both of those are to be as small as can be, in this order,
    before the objective counts.
    """
    num = count(unit)
    at_first = ops.take(sides, first, axis=1)
    lacks = ops.one_hot(library_of(num).arange(num + 1) // num, 2, dtype="float64")
    distances = ops.eye(num + 1, dtype="float64")
    right = at_first * level - floors
    columns = [ops.outer(at_first, unit) - sides, distances, -lacks, right[:, None]]
    zeros = ops.zeros((num + 3,), "float64")
    simplex = ops.concatenate([unit, zeros, level[None]])
    missing = ops.one_hot([2 * num + 1, 2 * num + 2], 2 * num + 4, dtype="float64")
    costs = ops.concatenate([ops.take(objective, first) * unit - objective, zeros, zeros[:1]])
    return ops.concatenate([ops.concatenate(columns, axis=1), simplex[None], missing, costs[None]])


def _admit(tableau: Tensor, basis: Tensor, rows: slice, column: int) -> tuple[Tensor, Tensor]:
    """Makes basic what is missing to these floors, where something is."""
    right = tableau[: count(basis) - 1, -1][rows]
    row = ops.cast(ops.argmin(right), "int32") + rows.start
    new_tableau, new_basis = exchange(tableau, basis, row, ops.full((), column, "int32"))
    lacks = ops.min(right) < 0
    return ops.where(lacks, new_tableau, tableau), ops.where(lacks, new_basis, basis)
