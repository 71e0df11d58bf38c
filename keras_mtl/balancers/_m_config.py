"""Conflict-free inverse gradients with momentum."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import config_weights


@keras.saving.register_keras_serializable(package="keras_mtl")
class MConFIG(GradientBalancer):
    """Divides ConFIG's direction of averaged gradients by its average size, entry by entry.

    With G(...) the direction of `ConFIG` for these gradients, and a hat for averages that are
    corrected for their start at 0,

        m_i <- beta_1 m_i + (1 - beta_1) g_i        d^ = G(m^_1 .. m^_K)
        m_t = (1 - beta_1^t) d^                     g_t = (m_t - beta_1 m_(t-1)) / (1 - beta_1)
        v <- beta_2 v + (1 - beta_2) g_t^2          d = d^ / (sqrt(v^) + epsilon)

    where `g_t` is the gradient whose average would be `d^`. Choose it over `ConFIG` when batches
    are small and gradients are noisy. It is not the right choice with an optimizer that has
    momentum or divides by the size of the gradients itself, such as Adam: use SGD. It is not the
    right choice either when memory is short.

    Entries of the direction are about 1 in size, whatever the size of the gradients, as in steps
    of Adam.

    Guide:
        Choose it when: equal cosines with every averaged gradient are wanted
        Not when: memory is scarce
        Source: Liu et al. 2024, arXiv:2408.11104

    Args:
        beta_1: How slowly the averages of gradients change, from 0 to below 1. Defaults to `0.9`.
        beta_2: The same for the average of squares. Defaults to `0.999`.
        epsilon: Added to the average size. Defaults to `1e-8`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a beta is not from 0 to 0.9999999, or epsilon is negative.

    Example:
        >>> direction = MConFIG().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [1.0, 1.0, 1.0]

    Reference: Liu et al. (2024), arXiv:2408.11104, algorithm 1. There, each step updates one
    average only, to save the other backward passes. Here all gradients are known, and each step
    updates all averages.
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
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.average = self.add_state("average", (num_tasks, self.size))
        self.count = self.add_state("count", (num_tasks,))
        self.direction = self.add_state("direction", (self.size,), task_axes=0)
        self.square = self.add_state("square", (self.size,), task_axes=0)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Computes the direction d `[n]` for gradients `[K, n]`."""
        average = self.beta_1 * self.average.value + (1 - self.beta_1) * gradients
        # Each task counts its own steps: a task that was absent has a younger average.
        steps_of_task = self.count.value + 1
        self.average.assign(average)
        self.count.assign(steps_of_task)
        average = average / (1 - self.beta_1**steps_of_task)[:, None]
        gramian = ops.matmul(average, ops.transpose(average))
        # d^ `[n]`, then m_t and g_t.
        unscaled = ops.matmul(ops.cast(config_weights(gramian), "float32"), average)
        step = ops.cast(self.iteration.value + 1, "float32")
        direction = (1 - self.beta_1**step) * unscaled
        gradient = (direction - self.beta_1 * self.direction.value) / (1 - self.beta_1)
        square = self.beta_2 * self.square.value + (1 - self.beta_2) * ops.square(gradient)
        self.direction.assign(direction)
        self.square.assign(square)
        size = ops.sqrt(square / (1 - self.beta_2**step))
        # An entry of size 0 has d^ = 0, and stays 0 if epsilon is 0 too.
        return ops.divide_no_nan(unscaled, size + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
