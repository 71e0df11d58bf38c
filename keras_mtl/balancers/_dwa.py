"""Dynamic weight average."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers


@keras.saving.register_keras_serializable(package="keras_mtl")
class DWA(LossBalancer):
    """Weights most the tasks whose loss falls slowest (dynamic weight average).

    With `L_i(t)` the mean loss of task i in epoch t,

        r_i = L_i(t-1) / L_i(t-2)        w_i = K exp(r_i / T) / sum_j exp(r_j / T)

    and minimizes `sum_i w_i L_i`. Choose it as a cheap rule that does not depend on the scale
    of any loss. Not the right choice where losses differ in scale (their rates say nothing of
    it), may be negative, or where training lasts a few epochs only.

    Weights sum to K. They are 1 until two epochs have passed; a task without a label in an
    epoch keeps its rate.

    Args:
        temperature: T; the larger, the more equal the weights. Defaults to `2.0`.
        window: Steps that make up one t, counted for each task apart, for training in few long
            epochs. Defaults to `None`: t is an epoch, as `end_epoch` tells.
        name: Optional name of the layer.

    Raises:
        ValueError: If the temperature is not above 0 or the window not at least 1.

    Example:
        >>> balancer = DWA(temperature=2.0)
        >>> for losses in [1.0, 1.0], [0.9, 0.5]:  # two epochs of one step each
        ...     _ = balancer.scalarize(losses)
        ...     balancer.end_epoch()
        >>> [round(float(weight), 3) for weight in balancer.task_weights()]
        [1.1, 0.9]

    Reference: Liu, Johns & Davison (2019), arXiv:1803.10704, equation 7. As there, t is an epoch
    and L its average; the average is over steps, each counting alike. `window` is an addition.
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
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.mean = self.add_state("mean", (num_tasks,))
        self.count = self.add_state("count", (num_tasks,))
        self.previous = self.add_state("previous", (num_tasks,))
        self.rate = self.add_state("rate", (num_tasks,), "ones")

    def task_weights(self) -> Tensor:
        """The weights `[K]` of the current epoch."""
        rate = self.rate.value
        # Not ops.softmax, which warns where one task is alone in a step.
        powers = ops.exp((rate - ops.max(rate)) / self.temperature)
        return ops.cast(ops.size(rate), "float32") * powers / ops.sum(powers)

    def scalarize(self, losses: Tensor) -> Tensor:
        """The weighted sum of the losses `[K]`, which are also added to the averages."""
        weights = self.task_weights()
        count = self.count.value + 1
        # A running mean: a sum of many steps would lose digits in float32.
        mean = self.mean.value + (ops.stop_gradient(losses) - self.mean.value) / count
        self.count.assign(count)
        self.mean.assign(mean)
        if self.window is not None:
            self._close(count >= self.window)
        return ops.sum(ops.stop_gradient(weights) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Moves to the next t, unless a window of steps is what makes one up."""
        if self.built and self.window is None:
            self._close(self.count.value > 0)

    def _close(self, due: Tensor) -> None:
        mean, previous = self.mean.value, self.previous.value
        known = ops.logical_and(due, previous > 0)
        # Bounded, so that the weights stay finite after an epoch of losses next to nothing.
        rate = ops.minimum(mean / ops.where(known, previous, 1), 1e6)
        self.rate.assign(ops.where(known, rate, self.rate.value))
        self.previous.assign(ops.where(due, mean, previous))
        for state in (self.mean, self.count):
            state.assign(ops.where(due, 0, state.value))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        config = super().get_config()
        return {**config, "temperature": self.temperature, "window": self.window}
