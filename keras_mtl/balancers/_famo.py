"""Fast adaptive multi-task optimization."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, Needs, check_numbers, plain
from keras_mtl.balancers._solvers import Adam, softmax

_EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class FAMO(LossBalancer):
    """Keeps all losses falling at the same rate, with one backward pass and two forward passes.

    With logits w of the tasks, `z = softmax(w)` and `D_i = L_i - b_i + 1e-8`, it minimizes

        c sum_i z_i log D_i        c = 1 / sum_i (z_i / D_i), not differentiated

    and after the update of the network compares the losses of the same batch with those before:

        delta_i = log D_i(before) - log D_i(after)
        w by Adam against  z_i (delta_i - sum_j z_j delta_j)

    so that tasks whose loss fell more than the others' lose weight. Choose it for many tasks,
    for which rules that need every task's gradient are too slow: it has the aim of `MGDA` on log
    losses. It is not the right choice with losses that may be zero or negative (set `min_losses`
    to below their least value), or when dropout makes two passes of one batch differ by more than
    a step changes them.

    Weights are `c z_i / D_i`, with sum 1. A loss at or below its b counts as solved, and one
    that is not finite after the update counts as unchanged.

    Guide:
        Choose it when: losses should fall at the same rate, at low cost
        Not when: the forward pass is expensive
        Source: Liu et al. 2023, arXiv:2306.03792

    Args:
        learning_rate: Learning rate of Adam for the logits. Defaults to `0.025`.
        weight_decay: Weight decay of the logits, gamma in the paper: the larger it is, the more
            equal z is. Defaults to `0.001`.
        min_losses: b, the least value of each loss: one number for all tasks, K numbers, or a
            dict by task name. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is negative (except in `min_losses`) or not finite; when the model
            is created, if there is not one number per task.

    Example:
        >>> balancer = FAMO()
        >>> _ = balancer.scalarize([1.0, 10.0])  # then the update of the network, and
        >>> balancer.after_update([0.5, 10.0])
        >>> first, second = balancer.task_shares()
        >>> bool(first < second)
        True

    Reference: Liu et al. (2023), arXiv:2306.03792, algorithm 1, and the authors' code, which has
    several values for gamma: 0.001 is that of most of its experiments. The code's clipping of
    gradients is left to the model's optimizer.
    """

    needs = Needs(losses_after=True)

    def __init__(
        self,
        *,
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
        min_losses: float | Sequence[float] | Mapping[str, float] = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("learning_rate", learning_rate)
        check_numbers("weight_decay", weight_decay)
        check_numbers("min_losses", min_losses, -float("inf"))
        self.learning_rate, self.weight_decay = float(learning_rate), float(weight_decay)
        self._min_losses = min_losses

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._least_losses = self.per_task("min_losses", self._min_losses)
        self.logits = self.add_state("logits", (num_tasks,))
        self.log_before = self.add_state("log_before", (num_tasks,))
        self._descent = Adam(self, self.logits, self.learning_rate, self.weight_decay)

    def task_shares(self) -> Tensor:
        """Returns z `[K]`, the softmax of the logits."""
        return softmax(self.logits.value)

    def _distances(self, losses: Tensor) -> Tensor:
        """Computes D `[K]` from the losses `[K]`."""
        return ops.maximum(losses - self.select_active(self._least_losses), 0) + _EPSILON

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the log losses for losses `[K]`."""
        distances = self._distances(losses)
        log_distances = ops.log(distances)
        self.log_before.assign(ops.stop_gradient(log_distances))
        shares = ops.stop_gradient(self.task_shares())
        scale = 1 / ops.sum(shares / ops.stop_gradient(distances))  # c
        return ops.sum(scale * shares * log_distances)

    def after_update(self, losses: Tensor) -> None:
        """Moves the logits by the change of the losses `[K]` of the batch in the update.

        Raises:
            ValueError: Before `scalarize`.
        """
        if not self.built:
            raise ValueError(f"{self.name}: call scalarize(losses) before after_update(losses).")
        losses = ops.convert_to_tensor(losses, "float32")
        change = self.log_before.value - ops.log(self._distances(losses))  # delta
        change = ops.where(ops.isfinite(change), change, 0.0)
        shares = self.task_shares()
        # The product with the Jacobian of the softmax, `diag(z) - z z^T`.
        self._descent.step(shares * (change - ops.sum(shares * change)))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "min_losses": plain(self._min_losses),
        }
