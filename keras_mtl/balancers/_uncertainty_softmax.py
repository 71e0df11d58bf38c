"""Analytic uncertainty weighting with a softmax (UW-SO)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers
from keras_mtl.balancers._solvers import SMALLEST_LOSS, softmax


@keras.saving.register_keras_serializable(package="keras_mtl")
class UncertaintySoftmax(LossBalancer):
    """Weighs tasks by a softmax over their inverse losses (soft optimal uncertainty, UW-SO).

        w_i = exp((1 / L_i) / T) / sum_j exp((1 / L_j) / T)

    The inverse loss is the best weight of `Uncertainty` in closed form; the softmax bounds it.
    Choose it instead of `Uncertainty` when learned variances lag behind the losses, and when one
    temperature can be tuned. Not the right choice without tuning (the right T depends on the
    scale of the losses), or with losses near zero, which take all the weight.

    Weights sum to 1. A loss of zero or below counts as the smallest possible loss.

    Guide:
        Choose it when: losses differ in scale or noise, and no variable should be learned for them
        Not when: losses differ by orders of magnitude
        Source: Kirchdorfer et al. 2024, arXiv:2408.07985

    Args:
        temperature: T; the larger it is, the more equal the weights. Defaults to `1.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        >>> round(float(UncertaintySoftmax(temperature=0.5).scalarize([1.0, 2.0])), 4)
        1.2689

    Reference: Kirchdorfer et al. (2024), arXiv:2408.07985.
    """

    def __init__(self, *, temperature: float = 1.0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("temperature", temperature, 1e-6)
        self.temperature = float(temperature)

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        inverse = 1 / ops.maximum(ops.stop_gradient(losses), SMALLEST_LOSS)
        return ops.sum(softmax(inverse / self.temperature) * losses)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "temperature": self.temperature}
