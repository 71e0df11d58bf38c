"""Equal weighting."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer


@keras.saving.register_keras_serializable(package="keras_mtl")
class Equal(LossBalancer):
    """Minimizes the sum of the losses: `sum_i L_i`.

    It is the baseline against which every other rule should be measured. When losses have similar
    scales and training is long enough, it is often as good as any other rule. It is not the right
    choice when one loss is larger than the others because of its units (a squared error in
    dollars beside a cross-entropy): set `Task.weight`, or choose `Uncertainty` or `DWA`.

    Weights are 1 and sum to K, as in `keras.Model.compile` without `loss_weights`. Under plain
    SGD the step thus grows with the number of tasks (some papers average instead).

    Guide:
        Choose it when: you need the baseline
        Not when: losses differ in scale
        Source: this package

    Args:
        name: Optional name of the layer.

    Example:
        >>> float(Equal().scalarize([2.0, 3.0]))
        5.0
    """

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the sum of the losses `[K]`."""
        return ops.sum(losses)
