"""Conflict-averse gradient descent."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers
from keras_mtl.balancers._solvers import (
    best_worst_case,
    cosines_and_lengths,
    count,
    nan_where_not_finite,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class CAGrad(GramianBalancer):
    """Near the mean gradient, follows the direction that serves the worst-served task best.

    With `g_0` the mean of the gradients,

        d = argmax min_i <g_i, d>   subject to   |d - g_0| <= c |g_0|

    which is `g_0 + c |g_0| g_w / |g_w|` for `w = argmin g_w . g_0 + c |g_0| |g_w|` over the
    simplex, `g_w = sum_i w_i g_i`. Choose it to ease conflicts while still going to a minimum of
    the mean loss (for c < 1). Not the right choice where losses differ in scale: the longest
    gradient rules `g_0`.

    Weights are at least 1/K, and with c = 0 exactly that (the mean, not the sum). A task with
    gradient zero counts in the mean alone, since no direction serves it; where `g_0` is zero the
    weights are 1/K.

    Args:
        c: Radius of the ball in units of `|g_0|`; 0 gives the mean, large values tend to MGDA's
            direction. Defaults to `0.5`.
        name: Optional name of the layer.

    Raises:
        ValueError: If c is negative or not finite.

    Example:
        >>> weights = CAGrad(c=0.5).weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.7041, 0.5]

    Reference: Liu et al. (2021), arXiv:2110.14048. The direction is theirs, not rescaled
    (popular code divides it by 1 + c^2 or 1 + c, or multiplies it by K). Their c is 0.4 or 0.5;
    they solve for w with SciPy on the host.
    """

    def __init__(self, *, c: float = 0.5, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("c", c)
        self.c = float(c)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the direction, for a Gramian `[K, K]`."""
        num_tasks = count(gramian, "float64")
        mean = ops.full((count(gramian),), 1 / num_tasks, "float64")
        if self.c == 0:
            return nan_where_not_finite(mean, gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        takes_part = lengths > 0
        safe = ops.where(takes_part, lengths, float("inf"))
        # A gradient 1e6 times the shortest is as good as any longer one, and easier to solve for.
        shares = ops.where(takes_part, ops.maximum(ops.min(safe) / safe, 1e-6), 0)
        shares = ops.where(ops.any(takes_part), shares, 1)
        # Inner products of g_0 with unit gradients, and its length; c x in weights of the tasks.
        inner = ops.matmul(cosines, lengths) / num_tasks
        length = ops.sqrt(ops.maximum(ops.mean(lengths * inner), 0))
        center = ops.clip(inner / ops.where(length > 0, length, 1), -1, 1)
        x = best_worst_case(cosines, shares, ops.where(takes_part, center, 1), self.c)
        return nan_where_not_finite(mean + self.c * length * ops.maximum(x, 0) / safe, gramian)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {**super().get_config(), "c": self.c}
