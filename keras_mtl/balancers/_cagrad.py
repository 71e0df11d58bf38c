"""Conflict-averse gradient descent."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers
from keras_mtl.balancers._solvers import (
    best_worst_case,
    cosines_and_lengths,
    nan_where_not_finite,
    size_of,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class CAGrad(GramianBalancer):
    """Follows, near the mean gradient, the direction that serves the worst-served task best.

    With `g_0` the mean of the gradients,

        d = argmax min_i <g_i, d>   subject to   |d - g_0| <= c |g_0|

    which is `g_0 + c |g_0| g_w / |g_w|` for `w = argmin g_w . g_0 + c |g_0| |g_w|` over the
    simplex, with `g_w = sum_i w_i g_i`. Choose it to ease conflicts and still reach a minimum of
    the mean loss (for c < 1). It is not the right choice when losses differ in scale: the longest
    gradient then dominates `g_0`.

    Weights are at least 1/K, and exactly 1/K for c = 0 (the mean, not the sum). A task with
    gradient zero counts in the mean alone, since no direction serves it. Where `g_0` is zero,
    the weights are 1/K.

    Guide:
        Choose it when: the mean loss should fall, and the worst-served task should gain too
        Not when: gradients differ much in length
        Source: Liu et al. 2021, arXiv:2110.14048

    Args:
        c: Radius of the ball in units of `|g_0|`; 0 gives the mean, and large values approach
            MGDA's direction. Defaults to `0.5`.
        name: Optional name of the layer.

    Raises:
        ValueError: If c is negative or not finite.

    Example:
        >>> weights = CAGrad(c=0.5).weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.7041, 0.5]

    Reference: Liu et al. (2021), arXiv:2110.14048. The direction is theirs and is not rescaled
    (popular code divides it by 1 + c^2 or 1 + c, or multiplies it by K). Their c is 0.4 or 0.5.
    They solve for w with SciPy on the host.
    """

    def __init__(self, *, c: float = 0.5, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("c", c)
        self.c = float(c)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the direction d for a Gramian `[K, K]`."""
        num_tasks = size_of(gramian, "float64")
        mean = ops.full((size_of(gramian),), 1 / num_tasks, "float64")
        if self.c == 0:
            return nan_where_not_finite(mean, gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        nonzero = lengths > 0
        safe_lengths = ops.where(nonzero, lengths, float("inf"))
        # A gradient 1e6 times the shortest is as good as any longer one, and easier to solve for.
        shares = ops.maximum(ops.min(safe_lengths) / safe_lengths, 1e-6)
        shares = ops.where(nonzero, shares, 0)
        shares = ops.where(ops.any(nonzero), shares, 1)
        # <g_i / |g_i|, g_0> for each task, and from it |g_0| and the cosines with g_0.
        products = ops.matmul(cosines, lengths) / num_tasks
        mean_length = ops.sqrt(ops.maximum(ops.mean(lengths * products), 0))
        center = ops.clip(products / ops.where(mean_length > 0, mean_length, 1), -1, 1)
        # g_w / |g_w| in coefficients of the unit gradients: d = g_0 + c |g_0| g_w / |g_w|.
        coefficients = best_worst_case(cosines, shares, ops.where(nonzero, center, 1), self.c)
        toward_worst = self.c * mean_length * ops.maximum(coefficients, 0) / safe_lengths
        return nan_where_not_finite(mean + toward_worst, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "c": self.c}
