"""The sum of the logarithms of the losses."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer
from keras_mtl.balancers._solvers import log_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class ScaleInvariant(LossBalancer):
    """Minimizes the sum of the logarithms of the losses: `sum_i log L_i`.

    Each task is thus improved relative to its own loss, whatever the unit. Choose it when losses
    differ in scale and all are well above zero. It is the limit of `Uncertainty` once the
    variances are learned, but it has nothing to learn. Not the right choice with losses that may
    be zero or negative, or when a task can be solved entirely: its weight grows without bound.

    Weights are `1 / L_i`, and do not sum to K. A loss of 1e-30 or less counts as solved: its
    weight is 0.

    Guide:
        Choose it when: losses differ in scale (it minimizes the sum of their logarithms)
        Not when: losses reach 0 or below
        Source: Navon et al. 2022, arXiv:2202.01017

    Args:
        name: Optional name of the layer.

    Example:
        >>> round(float(ScaleInvariant().scalarize([2.0, 0.5])), 4)
        0.0

    Reference: the baseline "scale-invariant" of Navon et al. (2022), arXiv:2202.01017.
    """

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the sum of the logarithms of the losses `[K]`."""
        return ops.sum(log_of(losses))
