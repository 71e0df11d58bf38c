"""Weighting by coefficients of variation."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class CoV(LossBalancer):
    """Gives most weight to the tasks whose loss still varies most (coefficient of variation).

    With `mu` and `sigma` the mean and standard deviation over the steps so far, each task's
    loss is divided by its mean up to the step before, and weighted by how much this ratio varied:

        l_i(t) = L_i(t) / mu[L_i](t-1)
        w_i = c_i / sum_j c_j        c_i = sigma[l_i] / mu[l_i]

    Choose it as a rule without a hyper-parameter that does not depend on the scale of any loss
    and takes weight away from tasks that have settled. It is not the right choice with losses
    that may be negative, or when small batches make a loss noisy: noise counts as progress here.

    Weights sum to 1. They are `1/K` in the first two steps. In later steps, a task that was seen
    fewer than two times gets the mean of the other tasks' c. A loss counts as at most 1e6 times its
    mean.

    Guide:
        Choose it when: losses that still change should count most
        Not when: losses are noisy
        Source: Groenendijk et al. 2021, arXiv:2009.01717

    Args:
        decay: The part of a mean that is kept from step to step, from 0 to below 1. Defaults to
            `None`: plain means over all steps.
        name: Optional name of the layer.

    Raises:
        ValueError: If the decay is out of range.

    Example:
        >>> balancer = CoV()
        >>> for losses in [2.0, 1.0], [1.0, 1.0]:
        ...     _ = balancer.scalarize(losses)
        >>> [round(float(weight), 3) for weight in balancer.task_weights()]  # only one varied
        [1.0, 0.0]

    Reference: Groenendijk et al. (2021), arXiv:2009.01717, and the authors' code, from which come
    the two first steps with equal weights, the decay of means, and 1e-8 added to the variance.
    """

    def __init__(
        self, *, decay: float | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if decay is not None:
            check_numbers("decay", decay, 0, 1 - 1e-6)
        self.decay = decay

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.count = self.add_state("count", (num_tasks,))
        self.mean_loss = self.add_state("mean_loss", (num_tasks,))
        self.mean_ratio = self.add_state("mean_ratio", (num_tasks,))
        self.squares = self.add_state("squares", (num_tasks,))

    def task_weights(self) -> Tensor:
        """Returns the weights `[K]` of the next step."""
        steps = self.count.value
        deviation = ops.sqrt(self.squares.value / ops.maximum(steps, 1) + 1e-8)
        variation = deviation / ops.maximum(self.mean_ratio.value, 1e-8)
        # One value varies by nothing: tasks seen less than twice get the mean of the known c.
        known = ops.cast(steps >= 2, "float32")
        mean = ops.sum(known * variation) / ops.maximum(ops.sum(known), 1)
        variation = ops.where(steps >= 2, variation, ops.where(mean > 0, mean, 1.0))
        return variation / ops.sum(variation)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`, then adds them to the means."""
        weights = self.task_weights()
        self._record(ops.stop_gradient(losses))
        return ops.sum(ops.stop_gradient(weights) * losses)

    def _record(self, losses: Tensor) -> None:
        """Adds the losses `[K]` of one step to the means and squares."""
        steps, mean = self.count.value + 1, self.mean_loss.value
        kept = 1 - 1 / steps
        if self.decay is not None:
            kept = ops.where(steps > 1, self.decay, ops.zeros_like(steps))
        ratio = ops.where(mean > 0, losses / ops.where(mean > 0, mean, 1.0), 1.0)
        ratio = ops.clip(ratio, -1e6, 1e6)
        # Welford: a difference of means of squares would lose all digits in float32.
        old = self.mean_ratio.value
        new = kept * old + (1 - kept) * ratio
        self.squares.assign(self.squares.value + (ratio - old) * (ratio - new))
        self.mean_ratio.assign(new)
        self.mean_loss.assign(kept * mean + (1 - kept) * losses)
        self.count.assign(steps)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "decay": self.decay}
