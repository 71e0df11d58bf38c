"""The gradients nearest to the other gradients."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    larger,
    nan_where_not_finite,
    size_of,
    smaller,
)

_TIE = 1e-6  # scores whose relative difference is at most this are equal


@keras.saving.register_keras_serializable(package="keras_mtl")
class Krum(GramianBalancer):
    """Follows the gradients that lie closest to other gradients, and leaves outliers out.

        s(i) = sum of |g_i - g_j|^2 over the K - f - 2 gradients g_j closest to g_i

    d is the mean of the m gradients with the smallest score s. Choose it when a few of many tasks
    may send gradients that are plainly wrong (broken labels, an untrusted source). Not the right
    choice to balance tasks that all matter: the tasks that are not chosen are not trained in this
    step, and gradients have to be comparable in length.

    Weights are on the simplex: 1/m for each chosen task. Tasks that tie for the last place share
    it. The paper's guarantee needs K >= 2 f + 3. With fewer tasks in a step, scores look at one
    neighbor at least, so that two tasks get one half each. At most all tasks are chosen.

    Guide:
        Choose it when: a few tasks may send plainly wrong gradients
        Not when: there are few tasks, or all of them must count
        Source: Blanchard et al. 2017, arXiv:1703.02757

    Args:
        f: How many gradients may be wrong. Defaults to `0`.
        m: How many gradients to follow; above 1 it is Multi-Krum. Defaults to `1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If f or m is not a whole number, f is negative, or m is below 1.

    Example:
        >>> gramian = [[1.0, 0.9, -1.0], [0.9, 1.0, -0.9], [-1.0, -0.9, 1.0]]
        >>> [float(weight) for weight in Krum().weigh(gramian, [1.0, 1.0, 1.0])]
        [0.5, 0.5, 0.0]

    Reference: Blanchard et al. (2017), arXiv:1703.02757. Distances are squared, as in the paper
    (popular code sums the distances themselves).
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
        """Computes the weights `[K]` of the mean of the chosen gradients from the Gramian."""
        num_tasks = size_of(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        longest = ops.max(lengths)
        lengths = lengths / ops.where(longest > 0, longest, 1)
        squares = ops.square(lengths)
        products = lengths[:, None] * cosines * lengths[None, :]
        # |g_i - g_j|^2, [K, K], in units of the longest gradient's square.
        distances = ops.maximum(squares[:, None] + squares[None, :] - 2 * products, 0)
        neighbors = smaller(larger(num_tasks - self.f - 2, 1), num_tasks - 1)
        # Column 0 of the sorted rows is the distance of a gradient to itself.
        scores = ops.sum(ops.sort(distances, axis=1)[:, 1 : 1 + neighbors], axis=1)
        last_score = ops.sort(scores)[smaller(self.m, num_tasks) - 1]
        num_chosen = smaller(self.m, size_of(gramian, "float64"))
        tied = ops.cast(ops.abs(scores - last_score) <= _TIE * last_score, "float64")
        ahead = ops.cast(scores < last_score, "float64") * (1 - tied)
        # The places that those ahead leave are divided among those that tie.
        share = (num_chosen - ops.sum(ahead)) / ops.sum(tied)
        return nan_where_not_finite((ahead + share * tied) / num_chosen, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "f": self.f, "m": self.m}
