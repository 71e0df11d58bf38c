"""Gradient normalization."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers, plain
from keras_mtl.balancers._solvers import Adam, cosines_and_lengths, count, nan_where_not_finite

_LEAST = 1e-4


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradNorm(GramianBalancer):
    """Learns weights that make gradients equally long, longer for tasks that learn slowly.

    With `G_i = w_i |g_i|` and its mean over tasks, and `r_i` the inverse training rate,

        r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0))
        L_grad = sum_i |G_i - mean_j G_j r_i^alpha|       (the targets are constants)

    each step takes one of Adam's steps in w against `L_grad`, and rescales w to sum to K. Choose
    it where gradients differ in length by a factor that is steady, or where tasks should be done
    at the same time. Not the right choice where losses may be 0 or negative (their ratios mean
    nothing), or where gradients point against each other: only lengths are looked at.

    Weights are 1 in the first step and sum to K, over the tasks that take part; those keep their
    part of the sum among all tasks. A weight is held at 0.0001 at least. `L_i(0)` is the first
    loss above 0 of the task, from one batch: give `initial_losses` where that is fragile.

    Args:
        alpha: How much slow tasks are favored; 0 asks for equal lengths. Defaults to `1.5`.
        learning_rate: Of the weights. Defaults to `0.025`.
        initial_losses: `L_i(0)`, above 0: a number for all, K of them, or a dict by task name;
            log(C) for C classes. Defaults to `None`: the first loss that is seen.
        name: Optional name of the layer.

    Raises:
        ValueError: If alpha is negative, or the learning rate or an initial loss not above 0.

    Example:
        >>> balancer = GradNorm(alpha=0.0)
        >>> for _ in range(3):  # the first gradient is twice as long
        ...     weights = balancer.weigh([[4.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [round(float(weight), 2) for weight in weights]
        [0.95, 1.05]

    Reference: Chen et al. (2018), arXiv:1711.02257, algorithm 1. Gradients are those that the
    model balances on: all shared variables, or the shared representation (theirs: one layer).
    Popular code learns a softmax of w instead, or one target for all tasks, which leaves alpha
    without effect.
    """

    needs = Needs(lengths_only=True)

    def __init__(
        self,
        *,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        initial_losses: float | Sequence[float] | Mapping[str, float] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("alpha", alpha)
        check_numbers("learning_rate", learning_rate, 1e-12)
        if initial_losses is not None:
            check_numbers("initial_losses", initial_losses, 1e-30)
        self.alpha, self.learning_rate = float(alpha), float(learning_rate)
        self._initial_losses = initial_losses

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        known = self.per_task("initial_losses", self._initial_losses or 0.0)
        self.task_weight = self.add_state("weight", (num_tasks,), "ones")
        self.initial = self.add_state(
            "initial_loss", (num_tasks,), lambda shape, dtype: ops.convert_to_tensor(known, dtype)
        )
        self.descent = Adam(self, self.task_weight, self.learning_rate)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]`, for a Gramian `[K, K]` and losses `[K]`."""
        lengths = ops.cast(cosines_and_lengths(gramian)[1], "float32")
        share = ops.sum(self.task_weight.value)
        weights = self.task_weight.value * count(losses, "float32") / share
        targets = self.targets(weights * lengths, self._ratios(losses))
        self.task_weight.assign(weights)
        moved = self.descent.step(ops.sign(weights * lengths - targets) * lengths)
        moved = ops.maximum(moved, _LEAST)
        self.task_weight.assign(moved * share / ops.sum(moved))
        return nan_where_not_finite(weights, gramian)

    def targets(self, lengths: Tensor, ratios: Tensor) -> Tensor:
        """What the lengths `[K]` of weighted gradients should be, for loss ratios `[K]`."""
        mean = ops.mean(ratios)
        rates = ops.where(mean > 0, ratios / ops.where(mean > 0, mean, 1), 1)
        return ops.mean(lengths) * rates**self.alpha

    def _ratios(self, losses: Tensor) -> Tensor:
        """Each loss over the task's first one; 1 while there is none above 0."""
        initial = self.initial.value
        initial = ops.where(initial > 0, initial, losses)
        self.initial.assign(initial)
        known = initial > 0
        return ops.where(known, ops.maximum(losses, 0) / ops.where(known, initial, 1), 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
            "initial_losses": plain(self._initial_losses),
        }
