"""The unconflicting projection of gradients (UPGrad)."""

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
class UPGrad(GramianBalancer):
    """Projects each gradient to the nearest vector without conflicts, and takes the mean.

        (1)  d = 1/K sum_i pi(g_i)      pi(g) = argmin |x - g|   subject to   J x >= 0
        (2)  pi(g_i) = J^T v_i          v_i = argmin v^T G v     subject to   v >= e_i

    No loss rises at first order, and long gradients still count for more: choose it as a safe
    default when losses are on scales that mean something. Not the right choice when one gradient
    should not dominate because it is long (`IMTLG`, `NashMTL`), or with hundreds of tasks (K
    quadratic programs of K unknowns).

    Weights are 1/K when nothing conflicts, and larger otherwise. A task whose gradient is zero
    has weight 1/K and changes nothing. Opposed gradients of two tasks cancel out: the point is
    Pareto-stationary. `Task.weight` is the paper's preference.

    Guide:
        Choose it when: no task may get worse, and all tasks should gain
        Not when: the lengths of the gradients should not count
        Source: Quinton and Rey 2024, arXiv:2406.16232

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = UPGrad().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [1.1111, 0.7895]

    Reference: Quinton & Rey (2024), arXiv:2406.16232. Programs are solved exactly, in one batch;
    the authors' code adds 1e-4 to the Gramian's diagonal, which shortens projections.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the mean projection from the Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        # The projection of a multiple is the same multiple of the projection, so that the unit
        # gradients can be projected: row i holds the coefficients v_i of (2) for them.
        units = ops.eye(size_of(gramian), dtype="float64")
        projections = project_onto_dual_cone(cosines, units, resolution(gramian))
        weights = ops.sum(lengths[:, None] * projections, axis=0)
        weights = ops.where(lengths > 0, weights / ops.where(lengths > 0, lengths, 1), 1)
        return nan_where_not_finite(weights / size_of(gramian, "float64"), gramian)
