"""Conflict-free inverse gradients."""

from typing import Any

import keras
from keras import ops
from keras.backend import standardize_dtype

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, GramianBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import cosines_and_lengths, count, nan_where_not_finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class ConFIG(GramianBalancer):
    """Goes where all gradients have the same angle to, as far as they agree.

    With U the matrix of unit gradients and U^+ its pseudo-inverse,

        u = U^+ 1 / |U^+ 1|        d = (sum_i g_i . u) u

    so that every loss falls at a rate in proportion to its gradient's length, and the step is
    long where gradients agree and short where they conflict. Choose it where gradients differ in
    length and none should rule, as with the terms of a physics-informed loss. Not the right
    choice with more tasks than the gradients have dimensions: angles cannot all be equal then.

    The direction has the scale of the sum; weights may be negative. Singular directions of U that
    a Gramian in float32 does not tell from zero are left out. A task with gradient zero takes no
    part; where gradients cancel out, weights are 0. This is a rule of the Gramian alone, and it
    is given one: all gradients need not be joined. See MConFIG for the variant with momentum.

    Args:
        name: Optional name of the layer.

    Example:
        >>> weights = ConFIG().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [1.2265, 0.8441]

    Reference: Liu et al. (2024), arXiv:2408.11104, equation 2, with equal direction weights and
    the adaptive length, as there by default.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the direction, for a Gramian `[K, K]`."""
        return nan_where_not_finite(_weights(gramian), gramian)


def _weights(gramian: Tensor) -> Tensor:
    """Weights `[K]` of ConFIG's direction, float64."""
    cosines, lengths = cosines_and_lengths(gramian)
    takes_part = lengths > 0
    both = ops.logical_and(takes_part[:, None], takes_part)
    cosines = ops.where(both, cosines, 0)
    # U^+ 1 = U^T C^+ 1 for the cosines C.
    values, vectors = ops.eigh(cosines)
    rounding = 1e-13 if standardize_dtype(gramian.dtype) == "float64" else 2e-7
    kept = values > rounding * count(gramian, "float64") * ops.max(values)
    inverse = ops.where(kept, 1 / ops.where(kept, values, 1), 0)
    sums = ops.sum(vectors, axis=0)
    coefficients = ops.matmul(vectors, inverse * sums)
    square = ops.sum(inverse * sums * sums)  # of |U^+ 1|
    agreed = square > 1e-10
    along = ops.sum(lengths * ops.matmul(cosines, coefficients))  # sum_i g_i . U^+ 1
    factor = ops.where(agreed, along / ops.where(agreed, square, 1), 0)
    return factor * coefficients / ops.where(takes_part, lengths, 1)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MConFIG(GradientBalancer):
    """ConFIG's direction of averaged gradients, divided by its own average size, entry by entry.

    With G ConFIG's direction and hats for averages that are corrected for their beginning at 0,

        m_i <- beta_1 m_i + (1 - beta_1) g_i        d^ = G(m^_1 .. m^_K)
        m_t = (1 - beta_1^t) d^                     g_t = (m_t - beta_1 m_(t-1)) / (1 - beta_1)
        v <- beta_2 v + (1 - beta_2) g_t^2          d = d^ / (sqrt(v^) + epsilon)

    where `g_t` is the gradient whose own average would be `d^`. Choose it over ConFIG where
    batches are small and gradients noisy. Not the right choice with an optimizer that has momentum
    or divides by the size of gradients itself, such as Adam: use SGD. Not where memory is short.

    Entries of the direction are about 1 in size, whatever the gradients', as Adam's steps.

    Args:
        beta_1: How slowly averages of gradients follow, below 1. Defaults to `0.9`.
        beta_2: The same for the average of squares. Defaults to `0.999`.
        epsilon: Added to the size. Defaults to `1e-8`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a beta is not from 0 to 0.9999999, or epsilon is negative.

    Example:
        >>> direction = MConFIG().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [1.0, 1.0, 1.0]

    Reference: Liu et al. (2024), arXiv:2408.11104, algorithm 1. There, one average is updated
    in each step, to save the other backward passes; here all gradients are known and all are.
    """

    needs = Needs(per_entry_state=True)

    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("beta_1", beta_1, 0, 1 - 1e-7)
        check_numbers("beta_2", beta_2, 0, 1 - 1e-7)
        check_numbers("epsilon", epsilon)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.average = self.add_state("average", (num_tasks, self.size))
        self.count = self.add_state("count", (num_tasks,))
        self.direction = self.add_state("direction", (self.size,), task_axes=0)
        self.square = self.add_state("square", (self.size,), task_axes=0)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """The direction `[n]` for gradients `[K, n]`."""
        average = self.beta_1 * self.average.value + (1 - self.beta_1) * gradients
        count = self.count.value + 1
        self.average.assign(average)
        self.count.assign(count)
        average = average / (1 - self.beta_1**count)[:, None]
        gramian = ops.matmul(average, ops.transpose(average))
        found = ops.matmul(ops.cast(_weights(gramian), "float32"), average)
        step = ops.cast(self.iteration.value + 1, "float32")
        direction = (1 - self.beta_1**step) * found
        gradient = (direction - self.beta_1 * self.direction.value) / (1 - self.beta_1)
        square = self.beta_2 * self.square.value + (1 - self.beta_2) * ops.square(gradient)
        self.direction.assign(direction)
        self.square.assign(square)
        size = ops.sqrt(square / (1 - self.beta_2**step))
        return ops.divide_no_nan(found, size + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
