"""Conflict-free inverse gradients."""

import keras

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import config_weights, nan_where_not_finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class ConFIG(GramianBalancer):
    """Follows the direction that has the same angle to all gradients, as far as they agree.

    With U the matrix of unit gradients and U^+ its pseudo-inverse,

        u = U^+ 1 / |U^+ 1|        d = (sum_i g_i . u) u

    Every loss thus falls at a rate in proportion to its gradient's length, and the step is long
    where gradients agree and short where they conflict. Choose it when gradients differ in length
    and none should dominate, as with the terms of a physics-informed loss. It is not the right
    choice with more tasks than the gradients have dimensions: the angles cannot all be equal then.

    The direction has the scale of the sum, and weights may be negative. Singular directions of U
    that a Gramian in float32 cannot distinguish from zero are left out. A task with gradient zero
    takes no part. Where the gradients cancel out, the weights are 0. The rule needs nothing but
    the Gramian, so the gradients are never joined into one array. See `MConFIG` for the variant
    with momentum.

    Guide:
        Choose it when: equal cosines with every gradient are wanted
        Not when: weights must not be negative
        Source: Liu et al. 2024, arXiv:2408.11104

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = ConFIG().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [1.2265, 0.8441]

    Reference: Liu et al. (2024), arXiv:2408.11104, equation 2, with equal direction weights and
    the adaptive length, which are the paper's defaults.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the direction d for a Gramian `[K, K]`."""
        return nan_where_not_finite(config_weights(gramian), gramian)
