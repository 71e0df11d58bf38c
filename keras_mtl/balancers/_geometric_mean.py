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

    Its direction is that of `ScaleInvariant`; the length shrinks with the losses. Choose it
    where losses differ in scale and steps should grow smaller as all tasks improve (with Adam
    the two differ little). Not the right choice with losses that may be zero or negative: a
    single solved task takes the weight of all others away.

    Weights are `GM / (K L_i)` with GM the mean itself, and do not sum to K. A loss of 1e-30 or
    less counts as solved: its weight is 0.

    Args:
        name: Optional name of the layer.

    Example:
        >>> round(float(GeometricMean().scalarize([2.0, 8.0])), 4)
        4.0

    Reference: Chennupati et al. (2019), arXiv:1904.08492 (MultiNet++). Computed
    through logarithms: a product of many losses leaves float32.
    """

    def scalarize(self, losses: Tensor) -> Tensor:
        """The geometric mean of the losses `[K]`."""
        return ops.exp(ops.mean(log_of(losses)))
