"""Fair resource allocation between tasks."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    fair_point,
    mean_where_zero,
    nan_where_not_finite,
    resolution,
    size_of,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class FairGrad(GramianBalancer):
    """Divides the decrease of the losses among the tasks by alpha-fairness.

        d = sum_i w_i g_i      w_i > 0      (G w)_i = w_i^(-1 / alpha)

    which maximizes `sum_i (d . g_i)^(1 - alpha) / (1 - alpha)` over directions of a given length.
    alpha leads from the plain sum (0) over proportional fairness (1, `NashMTL` without its
    scales) to the best decrease of the worst task (large). Choose it to set that trade-off by
    one number. It is not the right choice when steps should follow the length of the gradients:
    weights are of degree `-2 alpha / (1 + alpha)` in that length, so for alpha > 1 d grows as
    the gradients vanish, and the learning rate has to fall.

    A task with gradient zero takes no part; its weight is the mean of the other tasks' weights.
    At a Pareto-stationary point no weights solve the equation: they are then large, and d is next
    to zero.

    Guide:
        Choose it when: gains should be shared fairly, by a fairness that you choose (alpha)
        Not when: the lengths of the gradients should count as they are
        Source: Ban and Ji 2024, arXiv:2402.15638

    Args:
        alpha: The fairness, from 0 to 100. Defaults to `1.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If alpha is out of range.

    Example:
        >>> gramian = [[18.0, -22.0], [-22.0, 38.0]]
        >>> [round(float(weight), 4) for weight in FairGrad(alpha=2).weigh(gramian, [1.0, 1.0])]
        [0.4714, 0.3195]

    Reference: Ban & Ji (2024), arXiv:2402.15638. The equation is solved by Newton's method; the
    authors' code runs a least-squares solver on the host, multiplies by K and clips `|d|` to 1.
    """

    def __init__(self, *, alpha: float = 1.0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("alpha", alpha, high=100.0)
        self.alpha = float(alpha)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the fair direction d for a Gramian `[K, K]`."""
        alpha = self.alpha
        if alpha == 0:
            ones = ops.ones((size_of(gramian),), "float64")
            return nan_where_not_finite(ones, gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        nonzero = lengths > 0
        # Logarithms of the lengths, over their geometric mean: the solver wants a mean near 0.
        log_lengths = ops.where(nonzero, ops.log(ops.where(nonzero, lengths, 1)), 0)
        num_nonzero = ops.maximum(ops.sum(ops.cast(nonzero, "float64")), 1)
        mean = ops.sum(log_lengths) / num_nonzero
        log_lengths = ops.where(nonzero, log_lengths - mean, 0)
        # With x_i = w_i |g_i|, of gradients of mean length 1: x_i (C x)_i^alpha = |g_i|^(1 - alpha)
        x = fair_point(cosines, (1 - alpha) * log_lengths, alpha, resolution(gramian))
        # The last term undoes the division by the mean length: w is of that degree in it.
        weights = x * ops.exp(-log_lengths - 2 * alpha / (1 + alpha) * mean)
        return nan_where_not_finite(mean_where_zero(weights, lengths), gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "alpha": self.alpha}
