"""Easy tasks first, and all tasks in the end (self-paced learning of tasks)."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers
from keras_mtl.balancers._solvers import SMALLEST_LOSS, size_of, softmax


@keras.saving.register_keras_serializable(package="keras_mtl")
class SelfPaced(LossBalancer):
    """Weighs down the tasks that lag behind at first, and gives all tasks weight 1 in the end.

    With `r_k = L_k / L_k(0)`, the loss in units of the task's first one, and a pace that grows
    with the epochs t that have ended,

        (1)  pace = start growth^t
        (2)  w = K softmax(-r / pace)

    which minimizes `sum_k w_k r_k + pace sum_k w_k log w_k` over weights that sum to K. Choose it
    as a curriculum from easy to hard for tasks of which some are hard to begin with. Not the
    right choice when a task that lags behind is the one that matters (`DTP` and `DWA` do the
    opposite), nor in few epochs, before the pace has grown.

    Weights sum to K, the number of tasks in the step. They are 1 in the first step, and near 1
    once the pace is above the differences between the tasks' r, so training ends as plain
    training. L_k(0) is the loss of the first step of the task; no r counts above 1e6.

    Guide:
        Choose it when: easy tasks should come first, and all tasks count in the end
        Not when: the task that lags behind matters most
        Source: Murugesan and Carbonell 2017, arXiv:1703.00977

    Args:
        start: The pace of the first epoch, above 0: small differences of r decide. Defaults to
            `0.5`.
        growth: The factor of the pace per epoch, at least 1. Defaults to `1.2`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `start` is not above 0, or `growth` is below 1.

    Example:
        >>> balancer = SelfPaced(start=0.5)
        >>> _ = balancer.scalarize([2.0, 2.0])
        >>> weights = balancer.task_weights(ops.array([1.0, 2.0]))  # half the loss; none lost
        >>> [round(float(weight), 3) for weight in weights]
        [1.462, 0.538]

    Reference: Murugesan & Carbonell (2017), arXiv:1703.00977, who weigh tasks from easy to hard
    with a pace that grows; (2) is the solution for an entropy as the regularizer. The units of
    the losses and a pace per epoch are this package's, as is the sum K: theirs is 1. Thresholds
    that drop a task (Kumar et al. 2010, for examples) are left out, because a task with weight 0
    from the first step on would never get easier.
    """

    def __init__(
        self, *, start: float = 0.5, growth: float = 1.2, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("start", start, 1e-6)
        check_numbers("growth", growth, 1)
        self.start, self.growth = float(start), float(growth)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.first = self.add_state("first", (num_tasks,))
        self.epoch = self.add_state("epoch", (), dtype="int32", task_axes=0)

    def task_weights(self, losses: Tensor) -> Tensor:
        """Returns the weights `[K]` for the losses `[K]` of a step."""
        first = self.first.value
        ratio = ops.where(first > 0, losses / ops.where(first > 0, first, 1), 1)
        ratio = ops.clip(ratio, -1e6, 1e6)
        # As a logarithm with a bound: growth^t would overflow in a long training.
        growth = ops.log(ops.cast(self.growth, "float32")) * ops.cast(self.epoch.value, "float32")
        pace = self.start * ops.exp(ops.minimum(growth, 60))
        return size_of(losses, "float32") * softmax(-ratio / pace)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`, and keeps the first loss of each task."""
        known = ops.stop_gradient(losses)
        first = self.first.value
        self.first.assign(ops.where(first > 0, first, ops.maximum(known, SMALLEST_LOSS)))
        return ops.sum(ops.stop_gradient(self.task_weights(known)) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Counts the epoch."""
        if self.built:
            self.epoch.assign(self.epoch.value + 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "start": self.start, "growth": self.growth}
