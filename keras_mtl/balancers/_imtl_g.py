"""Impartial multi-task learning, its balance of gradients."""

from typing import Any

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

_LEAST = 1e-6  # the sum of weights over that of their sizes, below which they are kept finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTLG(GramianBalancer):
    """Goes equally far along each task's gradient, whatever its length.

        d = sum_i alpha_i g_i      d . g_i / |g_i| = d . g_j / |g_j|      sum_i alpha_i = 1

    which is `alpha_i = v_i / |g_i|` for `C v = 1`, C the cosines between the gradients, brought
    to sum 1. Choose it where losses differ in scale: a loss times a constant changes the length
    of d alone. Not the right choice where gradients nearly depend on each other: weights become
    large, some of them negative, and d short or long; or with noisy gradients of small tasks,
    which count as much as any.

    With two tasks `alpha_i` is in proportion to `1 / |g_i|`. A task with gradient zero takes no
    part; its weight is the mean of the others'. Where gradients depend on each other, either d is
    the shortest such direction in terms of unit gradients, or there is none (opposed gradients)
    and d is next to zero: the point is Pareto-stationary. Weights are at most about 1e6.

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = IMTLG().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.5923, 0.4077]

    Reference: Liu et al. (2021), "Towards Impartial Multi-Task Learning", ICLR, OpenReview
    IMPnRXEWpvr. Its closed form inverts a matrix that is singular where gradients depend on each
    other. Where weights of sum 1 make every projection negative (long gradients at wide angles),
    all losses would rise; here the sum is -1 then, and they fall. Its balance of losses is
    `IMTLL`.
    """

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the impartial direction, for a Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        if gramian.shape[0] == 2:
            v = ops.ones((2,), "float64")  # the direction halfway between, whatever the angle
        else:
            v = equal_projections(cosines, resolution(gramian))
        takes_part = lengths > 0
        shortest = ops.min(ops.where(takes_part, lengths, float("inf")))
        v = ops.where(takes_part, v * shortest / ops.where(takes_part, lengths, 1), 0)
        total = ops.maximum(ops.abs(ops.sum(v)), _LEAST * ops.sum(ops.abs(v)))
        weights = v / ops.where(total > 0, total, 1)
        return nan_where_not_finite(mean_where_zero(weights, lengths), gramian)
