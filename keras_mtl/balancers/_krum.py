"""The gradient nearest to others."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    count,
    larger,
    nan_where_not_finite,
    smaller,
)

_ALIKE = 1e-6  # scores that differ by no more than this part of them are equal


@keras.saving.register_keras_serializable(package="keras_mtl")
class Krum(GramianBalancer):
    """Follows the gradients that lie closest to others, and leaves outliers out.

        s(i) = sum of |g_i - g_j|^2 over the K - f - 2 gradients g_j closest to g_i

    and d is the mean of the m gradients with the smallest score s. Choose it where a few of many
    tasks may send gradients that are plainly wrong (broken labels, an untrusted source). Not the
    right choice to balance tasks that all matter: the others are not trained in this step, and
    gradients have to be comparable in length.

    Weights are on the simplex: 1/m for the chosen; tasks that tie for the last place share it.
    The paper's promise needs K >= 2 f + 3; with fewer tasks in a step scores look at one
    neighbor at least, so that of two tasks each gets one half. Not more than all are chosen.

    Args:
        f: How many gradients may be wrong. Defaults to `0`.
        m: How many gradients to follow; above 1 it is Multi-Krum. Defaults to `1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If f or m is no whole number, f is negative, or m is below 1.

    Example:
        >>> gramian = [[1.0, 0.9, -1.0], [0.9, 1.0, -0.9], [-1.0, -0.9, 1.0]]
        >>> [float(weight) for weight in Krum().weigh(gramian, [1.0, 1.0, 1.0])]
        [0.5, 0.5, 0.0]

    Reference: Blanchard et al. (2017), arXiv:1703.02757. Distances are squared, as there (popular
    code sums the distances themselves).
    """

    def __init__(self, *, f: int = 0, m: int = 1, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        for argument, value, low in (("f", f, 0), ("m", m, 1)):
            if value != int(value) or value < low:
                raise ValueError(
                    f"{argument} must be a whole number from {low} on; received {value!r}."
                )
        self.f, self.m = int(f), int(m)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the mean of the chosen gradients, for a Gramian `[K, K]`."""
        num_tasks = count(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        longest = ops.max(lengths)
        lengths = lengths / ops.where(longest > 0, longest, 1)
        squares = ops.square(lengths)
        products = lengths[:, None] * cosines * lengths[None, :]
        distances = ops.maximum(squares[:, None] + squares[None, :] - 2 * products, 0)
        neighbors = smaller(larger(num_tasks - self.f - 2, 1), num_tasks - 1)
        scores = ops.sum(ops.sort(distances, axis=1)[:, 1 : 1 + neighbors], axis=1)
        last = ops.sort(scores)[smaller(self.m, num_tasks) - 1]
        chosen = smaller(self.m, count(gramian, "float64"))
        alike = ops.cast(ops.abs(scores - last) <= _ALIKE * last, "float64")
        better = ops.cast(scores < last, "float64") * (1 - alike)
        share = (chosen - ops.sum(better)) / ops.sum(alike)
        return nan_where_not_finite((better + share * alike) / chosen, gramian)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {**super().get_config(), "f": self.f, "m": self.m}
