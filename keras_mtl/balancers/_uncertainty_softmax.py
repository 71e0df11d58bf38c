"""Analytic uncertainty weighting with a softmax (UW-SO)."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, warn_of_dominance
from keras_mtl.balancers._solvers import SMALLEST_LOSS, softmax


@keras.saving.register_keras_serializable(package="keras_mtl")
class UncertaintySoftmax(LossBalancer):
    """Weighs tasks by a softmax over their inverse losses (soft optimal uncertainty, UW-SO).

        w_i = exp((1 / L_i) / T) / sum_j exp((1 / L_j) / T)

    The inverse loss is the best weight of `Uncertainty` in closed form; the softmax bounds it.
    Choose it instead of `Uncertainty` when learned variances lag behind the losses, and when one
    temperature can be tuned. Not the right choice without tuning (the right T depends on the
    scale of the losses), or with losses near zero, which take all the weight.

    Without a `temperature`, `BalancedModel` takes it from the tasks, so that the exponents do not
    depend on the scale of the losses:

        T = mean_i 1 / L_i0

    where L_i0 is the loss of a prediction that knows nothing of the inputs, times `Task.weight`:
    log 2 for yes or no, log C for C classes, 1 for numbers of variance 1 with their squared error
    (numbers of another scale need a `temperature`). Tasks with other losses are left out of the
    mean. Losses fall far below L_i0 where one class is rare: there the mean is a beginning, not a
    tuned value.

    Weights sum to 1. A loss of zero or below counts as the smallest possible loss. A task that
    holds more than 0.99 of the weight for an epoch is warned of by name, once.

    Guide:
        Choose it when: losses differ in scale or noise, and no variable should be learned for them
        Not when: losses differ by orders of magnitude
        Source: Kirchdorfer et al. 2024, arXiv:2408.07985

    Args:
        temperature: T; the larger it is, the more equal the weights. Defaults to `None`: from the
            tasks, or 1 if nothing is known of them.
        name: Optional name of the layer.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        >>> round(float(UncertaintySoftmax(temperature=0.5).scalarize([1.0, 2.0])), 4)
        1.2689

    Reference: Kirchdorfer et al. (2024), arXiv:2408.07985.
    """

    def __init__(
        self, *, temperature: float | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if temperature is not None:
            check_numbers("temperature", temperature, 1e-6)
        self._temperature = None if temperature is None else float(temperature)
        self._warned = False

    @property
    def temperature(self) -> float:
        """T: that of the argument, or else that of the tasks."""
        if self._temperature is not None:
            return self._temperature
        typical = [trait.typical for trait in self.traits or () if trait.typical is not None]
        return sum(1.0 / loss for loss in typical) / len(typical) if typical else 1.0

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        inverse = 1 / ops.maximum(ops.stop_gradient(losses), SMALLEST_LOSS)
        return ops.sum(softmax(inverse / self.temperature) * losses)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Warns of a task that holds nearly all the weight."""
        cure = (
            "Its loss is small beside the others: raise the temperature (it is "
            f"{self.temperature:.3g}), which makes weights more equal."
        )
        self._warned = warn_of_dominance(self, logs, cure, warned=self._warned)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "temperature": self._temperature}
