"""The geometric mean."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer
from keras_mtl.balancers._solvers import log_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class GeometricMean(LossBalancer):
    """Minimizes the geometric mean of the losses (geometric loss strategy, GLS).

        (prod_i L_i)^(1/K)  =  exp(1/K sum_i log L_i)

    Its direction is that of `ScaleInvariant`; its length shrinks with the losses. Choose it
    when losses differ in scale and steps should become smaller as all tasks improve (with Adam
    the two rules differ little). It is not the right choice with losses that may be zero or
    negative: a single solved task takes the weight of all other tasks away.

    Weights are `GM / (K L_i)`, where GM is the mean itself, and do not sum to K. A loss of 1e-30
    or less counts as solved: its weight is 0.

    Guide:
        Choose it when: losses differ in scale, and their mean should be in units of a loss
        Not when: losses reach 0 or below
        Source: Chennupati et al. 2019, arXiv:1904.08492

    Args:
        name: Optional name of the layer.

    Example:
        >>> round(float(GeometricMean().scalarize([2.0, 8.0])), 4)
        4.0

    Reference: Chennupati et al. (2019), arXiv:1904.08492 (MultiNet++). Here the mean is computed
    through logarithms: the product of many losses leaves the range of float32.
    """

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the geometric mean of the losses `[K]`."""
        return ops.exp(ops.mean(log_of(losses)))
