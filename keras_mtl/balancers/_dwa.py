"""Dynamic weight average."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class DWA(LossBalancer):
    """Gives most weight to the tasks whose loss falls slowest (dynamic weight average).

    With `L_i(t)` the mean loss of task i in epoch t,

        r_i = L_i(t-1) / L_i(t-2)        w_i = K exp(r_i / T) / sum_j exp(r_j / T)

    and the rule minimizes `sum_i w_i L_i`. Choose it as a cheap rule that does not depend on the
    scale of any loss. It is not the right choice when losses differ in scale (their rates say
    nothing about it) or may be negative, or when training lasts only a few epochs.

    Weights sum to K. They are 1 until two epochs have passed. A task without a label in an
    epoch keeps its rate r.

    Guide:
        Choose it when: tasks learn at different speeds
        Not when: training has few epochs
        Source: Liu et al. 2019, arXiv:1803.10704

    Args:
        temperature: T; the larger it is, the more equal the weights are. Defaults to `2.0`.
        window: Number of steps that make up one t, counted separately for each task, for training
            in few long epochs. Defaults to `None`: t is an epoch, which ends with `end_epoch`.
        name: Optional name of the layer.

    Raises:
        ValueError: If the temperature is not above 0 or the window is not at least 1.

    Example:
        >>> balancer = DWA(temperature=2.0)
        >>> for losses in [1.0, 1.0], [0.9, 0.5]:  # two epochs of one step each
        ...     _ = balancer.scalarize(losses)
        ...     balancer.end_epoch()
        >>> [round(float(weight), 3) for weight in balancer.task_weights()]
        [1.1, 0.9]

    Reference: Liu, Johns & Davison (2019), arXiv:1803.10704, equation 7. As in the paper, t is an
    epoch and L its average; the average is over steps, and each step counts the same. `window` is
    an addition of this package.
    """

    def __init__(
        self,
        *,
        temperature: float = 2.0,
        window: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("temperature", temperature, 1e-6)
        if window is not None and (window != int(window) or window < 1):
            raise ValueError(f"window must be a whole number of steps, or None; got {window!r}.")
        self.temperature = float(temperature)
        self.window = window

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.mean = self.add_state("mean", (num_tasks,))
        self.count = self.add_state("count", (num_tasks,))
        self.previous = self.add_state("previous", (num_tasks,))
        self.rate = self.add_state("rate", (num_tasks,), "ones")

    def task_weights(self) -> Tensor:
        """Returns the weights `[K]` of the current epoch."""
        rate = self.rate.value
        # Not ops.softmax, which warns where one task is alone in a step.
        powers = ops.exp((rate - ops.max(rate)) / self.temperature)
        return ops.cast(ops.size(rate), "float32") * powers / ops.sum(powers)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`, and adds them to the means."""
        weights = self.task_weights()
        steps = self.count.value + 1
        # A running mean: a sum of many steps would lose digits in float32.
        mean = self.mean.value + (ops.stop_gradient(losses) - self.mean.value) / steps
        self.count.assign(steps)
        self.mean.assign(mean)
        if self.window is not None:
            self._close(steps >= self.window)
        return ops.sum(ops.stop_gradient(weights) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Moves to the next t, unless t is a window of steps."""
        if self.built and self.window is None:
            self._close(self.count.value > 0)

    def _close(self, due: Tensor) -> None:
        """Ends the current t for the tasks whose entry of `due` `[K]` is true."""
        mean, previous = self.mean.value, self.previous.value
        known = ops.logical_and(due, previous > 0)
        # Bounded, so that the weights stay finite after an epoch of losses next to nothing.
        rate = ops.minimum(mean / ops.where(known, previous, 1), 1e6)
        self.rate.assign(ops.where(known, rate, self.rate.value))
        self.previous.assign(ops.where(due, mean, previous))
        for state in (self.mean, self.count):
            state.assign(ops.where(due, 0, state.value))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        config = super().get_config()
        return {**config, "temperature": self.temperature, "window": self.window}
