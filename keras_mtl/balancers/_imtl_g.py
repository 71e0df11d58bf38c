"""Impartial multi-task learning: the balance of gradients (IMTL-G)."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    equal_projections,
    mean_where_zero,
    nan_where_not_finite,
    resolution,
)

_LEAST_SUM = 1e-6  # of the weights, relative to the sum of their sizes: keeps weights finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTLG(GramianBalancer):
    """Finds the direction that goes equally far along each task's gradient, whatever its length.

        (1)  d = sum_i alpha_i g_i      d . g_i / |g_i| = d . g_j / |g_j|      sum_i alpha_i = 1

    With C the cosines between the gradients, the solution is

        (2)  alpha_i = v_i / |g_i|  for  C v = 1,  rescaled to sum 1

    Choose it when losses differ in scale: multiplying a loss by a constant changes only the
    length of d. Not the right choice when gradients are nearly linearly dependent: weights then
    become large, some of them negative, and d short or long. It is not the right choice either
    when small tasks have noisy gradients, which count as much as those of any other task.

    With two tasks `alpha_i` is proportional to `1 / |g_i|`. A task whose gradient is zero is left
    out; its weight is the mean of the other tasks' weights. When gradients are linearly dependent,
    d is the shortest solution in terms of unit gradients, or there is no solution (opposed
    gradients) and d is almost zero: the point is Pareto-stationary. Weights are at most about 1e6.

    Guide:
        Choose it when: progress should be equal along every task's gradient
        Not when: weights must not be negative
        Source: Liu et al. 2021, ICLR (OpenReview IMPnRXEWpvr)

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = IMTLG().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.5923, 0.4077]

    Reference: Liu et al. (2021), "Towards Impartial Multi-Task Learning", ICLR, OpenReview
    IMPnRXEWpvr. The paper's closed form inverts a matrix that is singular when gradients are
    linearly dependent. When weights of sum 1 make every projection negative (long gradients at
    wide angles), all losses would rise; here the sum is then -1, and they fall. The paper's
    balance of losses is `IMTLL`.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the impartial direction from the Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        if gramian.shape[0] == 2:
            # The bisector of two unit vectors has equal coefficients, whatever their angle.
            v = ops.ones((2,), "float64")
        else:
            v = equal_projections(cosines, resolution(gramian))
        takes_part = lengths > 0
        # (2) times the shortest length: no entry is then larger than that of v.
        shortest = ops.min(ops.where(takes_part, lengths, float("inf")))
        alpha = ops.where(takes_part, v * shortest / ops.where(takes_part, lengths, 1), 0)
        # The size of the sum, not the sum: where it is negative, the weights sum to -1.
        total = ops.maximum(ops.abs(ops.sum(alpha)), _LEAST_SUM * ops.sum(ops.abs(alpha)))
        weights = alpha / ops.where(total > 0, total, 1)
        return nan_where_not_finite(mean_where_zero(weights, lengths), gramian)
