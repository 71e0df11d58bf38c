"""Equal weighting."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer


@keras.saving.register_keras_serializable(package="keras_mtl")
class Equal(LossBalancer):
    """Minimizes the sum of the losses: `sum_i L_i`.

    The baseline against which every other rule is to be measured; with losses of like scale,
    and enough training, it is often as good as any. Not the right choice where one loss is
    larger than the others by its units (a squared error in dollars beside a cross-entropy): set
    `Task.weight`, or choose `Uncertainty` or `DWA`.

    Weights are 1 and sum to K, as in `keras.Model.compile` without `loss_weights`. Under plain
    SGD the step thus grows with the number of tasks (some papers average instead).

    Args:
        name: Optional name of the layer.

    Example:
        >>> float(Equal().scalarize([2.0, 3.0]))
        5.0
    """

    def scalarize(self, losses: Tensor) -> Tensor:
        """The sum of the losses `[K]`."""
        return ops.sum(losses)
