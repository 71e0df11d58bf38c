"""Projection of the mean gradient onto the dual cone."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    nan_where_not_finite,
    project_onto_dual_cone,
    resolution,
    size_of,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class DualProj(GramianBalancer):
    """Projects the mean gradient to the nearest direction that conflicts with no task.

        d = argmin |x - g_0|   subject to   J x >= 0        g_0 = 1/K sum_i g_i

    which is `J^T v` for `v = argmin v^T G v` over `v >= 1/K`. Choose it to follow the mean loss
    as far as that makes no loss rise at first order. It is not the right choice when a weak task
    should gain too: once its gradient is orthogonal to d it gains nothing (`UPGrad` gives it a
    share).

    Weights are 1/K where the mean conflicts with no task, and larger otherwise. A task with
    gradient zero has weight 1/K and changes nothing.

    Guide:
        Choose it when: the mean gradient should be followed as far as it harms no task
        Not when: the lengths of the gradients should not count
        Source: Lopez-Paz and Ranzato 2017, arXiv:1706.08840

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = DualProj().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.6111, 0.5]

    Reference: Lopez-Paz & Ranzato (2017), arXiv:1706.08840, where g_0 is the gradient of a new
    task and J holds those of old ones (GEM). The mean and the name come from arXiv:2406.16232.
    The program is solved exactly; popular code adds 1e-4 to the Gramian's diagonal.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the projected mean for a Gramian `[K, K]`."""
        num_tasks = size_of(gramian, "float64")
        cosines, lengths = cosines_and_lengths(gramian)
        mean = lengths / num_tasks  # in coefficients of the unit gradients
        # One target, `[1, K]`; weights are its coefficients in gradients of their full length.
        projection = project_onto_dual_cone(cosines, mean[None, :], resolution(gramian))[0]
        weights = projection / ops.where(lengths > 0, lengths, 1)
        weights = ops.where(lengths > 0, weights, 1 / num_tasks)
        return nan_where_not_finite(weights, gramian)
