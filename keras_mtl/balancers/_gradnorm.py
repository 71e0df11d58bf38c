"""Gradient normalization."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers, plain
from keras_mtl.balancers._solvers import Adam, cosines_and_lengths, nan_where_not_finite, size_of

_LEAST_WEIGHT = 1e-4


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradNorm(GramianBalancer):
    """Learns weights that make gradients equally long, longer for tasks that learn slowly.

    With `G_i = w_i |g_i|` and its mean over tasks, and `r_i` the inverse training rate,

        r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0))
        L_grad = sum_i |G_i - mean_j G_j r_i^alpha|       (the targets are constants)

    each step takes one step of Adam in w against `L_grad`, and rescales w to sum to K. Choose
    it when gradients differ in length by a factor that is steady, or when all tasks should finish
    at the same time. It is not the right choice when losses may be 0 or negative (their ratios
    mean nothing), or when gradients conflict: the rule looks at their lengths only.

    Weights are 1 in the first step and sum to K over the tasks that take part in a step. These
    tasks keep their part of the sum among all tasks. A weight is 0.0001 at least. `L_i(0)` is the
    first loss of the task above 0, from one batch: set `initial_losses` if that is too noisy.

    Guide:
        Choose it when: tasks should learn at the same rate
        Not when: the losses of the first step say little
        Source: Chen et al. 2018, arXiv:1711.02257

    Args:
        alpha: How much slow tasks are favored; 0 asks for equal lengths. Defaults to `1.5`.
        learning_rate: Learning rate of the weights. Defaults to `0.025`.
        initial_losses: `L_i(0)`, above 0: one number for all tasks, K numbers, or a dict by task
            name; log(C) for C classes. Defaults to `None`: the first loss of each task above 0.
        name: Optional name of the layer.

    Raises:
        ValueError: If alpha is negative, or the learning rate or an initial loss is not above 0.

    Example:
        >>> balancer = GradNorm(alpha=0.0)
        >>> for _ in range(3):  # the first gradient is twice as long
        ...     weights = balancer.weigh([[4.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [round(float(weight), 2) for weight in weights]
        [0.95, 1.05]

    Reference: Chen et al. (2018), arXiv:1711.02257, algorithm 1. Gradients are those on which the
    model balances: all shared variables, or the shared representation (in the paper: one layer).
    Popular code learns a softmax of w instead, or takes one target for all tasks, so that alpha
    has no effect.
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
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        # An initial loss of 0 is one that is not known yet.
        known = self.per_task("initial_losses", self._initial_losses or 0.0)
        self.task_weight = self.add_state("weight", (num_tasks,), "ones")
        self.initial = self.add_state(
            "initial_loss", (num_tasks,), lambda shape, dtype: ops.convert_to_tensor(known, dtype)
        )
        self.descent = Adam(self, self.task_weight, self.learning_rate)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the weights `[K]` for a Gramian `[K, K]` and losses `[K]`, then moves them."""
        lengths = ops.cast(cosines_and_lengths(gramian)[1], "float32")
        share = ops.sum(self.task_weight.value)
        weights = self.task_weight.value * size_of(losses, "float32") / share
        targets = self.targets(weights * lengths, self._ratios(losses))
        self.task_weight.assign(weights)
        # The derivative of L_grad with respect to w, `[K]`.
        moved = self.descent.step(ops.sign(weights * lengths - targets) * lengths)
        moved = ops.maximum(moved, _LEAST_WEIGHT)
        self.task_weight.assign(moved * share / ops.sum(moved))
        return nan_where_not_finite(weights, gramian)

    def targets(self, lengths: Tensor, ratios: Tensor) -> Tensor:
        """Computes the target lengths `[K]` of the weighted gradients.

        Args:
            lengths: Their lengths G `[K]`.
            ratios: Losses over initial losses, `[K]`.
        """
        mean = ops.mean(ratios)
        rates = ops.where(mean > 0, ratios / ops.where(mean > 0, mean, 1), 1)
        return ops.mean(lengths) * rates**self.alpha

    def _ratios(self, losses: Tensor) -> Tensor:
        """Computes each loss over the task's first one, `[K]`; 1 while there is none above 0."""
        initial = self.initial.value
        initial = ops.where(initial > 0, initial, losses)
        self.initial.assign(initial)
        known = initial > 0
        return ops.where(known, ops.maximum(losses, 0) / ops.where(known, initial, 1), 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
            "initial_losses": plain(self._initial_losses),
        }
