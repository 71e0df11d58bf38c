"""Gradient deconfliction via orthogonal projections onto subspaces (GradOPS)."""

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    larger,
    nan_where_not_finite,
    resolution,
    size_of,
)

_LEAST_RIDGE = 1e-12


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradOPS(GramianBalancer):
    """Removes from a conflicting gradient all that the other gradients span, and sums the results.

    With S_i the space that the other tasks' gradients span,

        (1)  g'_i = g_i - projection of g_i onto S_i    if g_i . g_j < 0 for any j
             g'_i = g_i                                 otherwise
        (2)  d = sum_i g'_i

    Choose it in place of PCGrad for three to about ten tasks whose gradients conflict: no `g'_i`
    conflicts with any gradient, so the direction conflicts with no task, and no order is drawn.
    With two tasks it is PCGrad. Not the right choice for many tasks or a small shared part: the
    gradient of a task that the other gradients span loses everything, and where that holds for
    all conflicting tasks they add nothing. Nor for losses of different scale, since only angles
    matter to a projection.

    The weight of a task is 1 without conflicts. In general, weights are sums over the tasks of
    the coefficients of `g'_i`, and may be negative. A `g'_i` is zero where rounding leaves
    nothing else of it.

    Guide:
        Choose it when: three to ten tasks conflict, and the direction should conflict with none
        Not when: there are many tasks, or gradients differ much in length
        Source: Zhu et al. 2025, arXiv:2503.03438

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = GradOPS().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [2.2222, 1.5789]

    Reference: Zhu et al. (2025), arXiv:2503.03438, whose g' conflict with no gradient (they call
    it strong non-conflicting). A gradient that conflicts with none stays as it is, which this
    property allows. The authors orthogonalize the other gradients one after another; here one
    inverse of the cosines serves all tasks. Their second part, weights that trade the g'_i off by
    an exponent alpha, is left out: it is their alpha = 0. No public code was found.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the sum of projected gradients from the Gramian."""
        cosines, lengths = cosines_and_lengths(gramian)
        eye = ops.eye(size_of(gramian), dtype="float64")
        ridge = larger(resolution(gramian), _LEAST_RIDGE)
        inverse = ops.inv(cosines + ridge * eye)
        # Column i of the inverse over its entry i: 1 for task i, and for the other tasks minus
        # the coefficients of the projection of unit gradient i onto them.
        rests = inverse / ops.diagonal(inverse)[None, :]
        squares = ops.sum(rests * ops.matmul(cosines, rests), axis=0)  # lengths of the rests
        is_left = squares > 16 * ridge * ops.sum(ops.square(rests), axis=0)
        conflicts = ops.any(cosines < -ridge, axis=0)
        projected = ops.where(conflicts, ops.where(is_left, rests, 0), eye)
        ratios = ops.matmul(projected, lengths) / ops.where(lengths > 0, lengths, 1)
        return nan_where_not_finite(ops.where(lengths > 0, ratios, 1), gramian)
