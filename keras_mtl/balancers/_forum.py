"""First-order multi-gradient descent for bilevel problems."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import (
    Adam,
    cosines_and_lengths,
    nan_where_not_finite,
    nonnegative_minimum,
    resolution,
    size_of,
    softmax,
)

_PENALTY = 1e4  # of a sum of weights that is not 1
_ROUNDS = 4  # each reduces the error of the sum to a thousandth or less


@keras.saving.register_keras_serializable(package="keras_mtl")
class FORUM(GramianBalancer):
    """Lowers every task's loss on another batch, while the weighted loss of this one stays low.

    With weights `s = softmax(a)` and `f = sum_i s_i L_i`, `theta^T` is the point to which T plain
    steps on f lead. The amount by which f could still fall, `q = f(theta) - f(theta^T)` with
    `theta^T` held fixed, is a constraint: the step d on theta and the logits a together solves

        min_d max_j <u_j, d> + |d|^2 / 2   subject to   <grad q, d> <= -rho |grad q|^2

    for the unit gradients `u_j` of the losses on the other batch. The solution is

        -d = sum_j l_j u_j + v grad q      v = max(0, sum_j l_j (rho - <u_j, grad q> / |grad q|^2))

    where l, on the simplex, minimizes `|d|^2 / 2 - v rho |grad q|^2`, and is averaged over the
    steps: each step of epoch e (from 0) moves it by the part `(e + 1)^(-3/4)`. Choose it when
    weights should serve all tasks on data that training has not seen, and the shared variables
    may be trained on that data too. It is not the right choice when a step must be cheap: each
    step takes two backward passes per task, and T steps of plain training.

    `weigh` returns 2K weights: `v s_i` for this batch and `l_j / |grad L_j|` for the other one. A
    model logs the first K. Pass the other data to `BalancedModel.fit` as `balance_data`. A task
    whose gradient on the other batch is zero has weight 0 there.

    Guide:
        Choose it when: weights should serve all tasks on unseen data, and training may use both
        Not when: steps are expensive
        Source: Ye et al. 2024, arXiv:2401.09257

    Args:
        rho: How fast the constraint is approached. Defaults to `0.1`.
        inner_steps: T, from 1. Defaults to `5`.
        inner_learning_rate: Learning rate of these steps. Defaults to `0.1`.
        learning_rate: Learning rate of the logits, which Adam moves. Defaults to `1e-3`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is negative or not finite, or `inner_steps` is not a whole number
            from 1.

    Example:
        >>> gramian = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]  # all orthogonal
        >>> losses = [1.0, 1.0, 0.5, 0.5]  # of this batch, before and after the inner steps
        >>> [round(float(weight), 3) for weight in FORUM(rho=0.1).weigh(gramian, losses)]
        [0.05, 0.05, 0.5, 0.5]

    Reference: Ye, Lin, Cao, Zhang & Tsang (ECAI 2024), arXiv:2401.09257, as in the authors' code
    for multi-task learning, except for three things. The problem for l is the dual of the one
    above (their code has `|d|^2` in place of its half). It is solved in the graph. And d moves
    the shared variables only, while each task's own variables take the gradient of their task on
    this batch.
    """

    needs = Needs(second_batch=True)

    def __init__(
        self,
        *,
        rho: float = 0.1,
        inner_steps: int = 5,
        inner_learning_rate: float = 0.1,
        learning_rate: float = 1e-3,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("rho", rho)
        check_numbers("inner_learning_rate", inner_learning_rate)
        check_numbers("learning_rate", learning_rate)
        if inner_steps != int(inner_steps) or inner_steps < 1:
            raise ValueError(
                f"inner_steps must be a whole number from 1; received {inner_steps!r}."
            )
        self.rho = float(rho)
        self.needs = Needs(
            second_batch=True,
            inner_steps=int(inner_steps),
            inner_learning_rate=float(inner_learning_rate),
        )
        self.learning_rate = float(learning_rate)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.logits = self.add_state("logits", (num_tasks,))
        self.shares = self.add_state("shares", (num_tasks,))
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)
        self._descent = Adam(self, self.logits, self.learning_rate)

    def look_ahead_weights(self) -> Tensor:
        """Returns the weights s `[K]` of the inner steps."""
        return softmax(self.logits.value)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[2K]` for a Gramian `[2K, 2K]` of both batches.

        Args:
            gramian: Inner products of the K gradients on this batch, then the K on the other.
            losses: Losses `[2K]` of this batch, before the inner steps and after them.
        """
        num_tasks = size_of(losses) // 2
        usable = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float64")
        cosines, lengths = cosines_and_lengths(usable[num_tasks:, num_tasks:])
        nonzero = ops.cast(lengths > 0, "float64")
        inverse_lengths = nonzero / ops.where(lengths > 0, lengths, 1)
        weights = ops.cast(self.look_ahead_weights(), "float64")
        # The gradient of q: with respect to the logits, `[K]`, and its length over both parts.
        fall = ops.cast(losses[:num_tasks] - losses[num_tasks:], "float64")
        logit_gradient = weights * (fall - ops.sum(weights * fall))
        square = ops.sum(weights * ops.matmul(usable[:num_tasks, :num_tasks], weights))
        length = ops.sqrt(ops.maximum(square, 0) + ops.sum(logit_gradient * logit_gradient))
        moving = length > 0
        length = ops.where(moving, length, 1)
        # <u_j, grad q> / |grad q| `[K]`: losses on the other batch do not depend on the logits.
        along = ops.matmul(weights, usable[:num_tasks, num_tasks:]) * inverse_lengths / length
        pull = ops.where(moving, self.rho * length, 0)
        ridge = resolution(gramian)
        solution = _solve_shares(cosines * nonzero * nonzero[:, None], along, pull, ridge)
        # The average of l over the steps, and v for it.
        rate = ops.cast(self.epoch.value + 1, "float32") ** -0.75
        shares = self.shares.value + rate * (ops.cast(solution, "float32") - self.shares.value)
        self.shares.assign(shares)
        shares = ops.cast(shares, "float64")
        multiplier = ops.maximum(ops.sum(shares * (self.rho - along / length)), 0)
        multiplier = ops.where(moving, multiplier, 0)
        self._descent.step(ops.cast(multiplier * logit_gradient, "float32"))
        return nan_where_not_finite(
            ops.concatenate([multiplier * weights, shares * inverse_lengths]), gramian
        )

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epochs."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "inner_steps": self.needs.inner_steps,
            "inner_learning_rate": self.needs.inner_learning_rate,
            "learning_rate": self.learning_rate,
        }


def _solve_shares(cosines: Tensor, along: Tensor, pull: Tensor, ridge: float | Tensor) -> Tensor:
    """Finds the l on the simplex of `min_{l, v >= 0} |sum_j l_j u_j + v q|^2 / 2 - v pull`.

    Here q is grad q divided by its length, and v is multiplied by that length.

    Args:
        cosines: Inner products `[K, K]` of the unit gradients u, float64.
        along: Inner products `[K]` of u with q.
        pull: A number from 0: rho times the length of grad q.
        ridge: Error of the eigenvalues of these.

    Returns:
        l, `[K]`, float64.
    """
    num_tasks = size_of(cosines)
    one = ops.ones((1, 1), "float64")
    # Inner products [K + 1, K + 1] of the u and q, plus the penalty `(sum_j l_j - 1)^2`.
    matrix = ops.concatenate(
        [
            ops.concatenate([cosines + _PENALTY, along[:, None]], axis=1),
            ops.concatenate([along[None, :], one], axis=1),
        ]
    )
    start = ops.full((num_tasks,), 1 / size_of(cosines, "float64"), "float64")

    def refine(_: Tensor, carried: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        # Augmented Lagrangian: the target of the penalty moves by what is missing from the sum.
        sum_multiplier, shares = carried
        linear = ops.concatenate(
            [ops.full((num_tasks,), -sum_multiplier, "float64"), -ops.reshape(pull, (1,))]
        )
        shares = nonnegative_minimum(matrix, linear[None, :], ridge)[0, :num_tasks]
        return sum_multiplier + _PENALTY * (1 - ops.sum(shares)), shares

    sum_multiplier = ops.full((), _PENALTY, "float64")
    shares = ops.fori_loop(0, _ROUNDS, refine, (sum_multiplier, start))[1]
    return shares / ops.sum(shares)
