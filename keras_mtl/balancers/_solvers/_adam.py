"""Gradient descent on numbers that a balancer learns itself, apart from the model's optimizer."""

from typing import Any

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import TaskState


class Adam:
    """Takes Adam's steps on one number per task, with a step count of its own for each task.

    The numbers, moments and step counts of tasks that are not active stay as they are.

    Args:
        balancer: The balancer, which keeps the moments; make this object in its `build`.
        state: The learned numbers, `[K]`, `task_axes=1`.
        learning_rate: Length of a step.
        weight_decay: Added to the gradient, times the value (not decoupled). Defaults to `0.0`.

    Reference: Kingma & Ba (2015), arXiv:1412.6980, algorithm 1, with beta_1 = 0.9,
    beta_2 = 0.999 and epsilon = 1e-8.
    """

    def __init__(
        self, balancer: Any, state: TaskState, learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self.state = state
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        shape = tuple(state.variable.shape)
        self.momentum = balancer.add_state("adam_momentum", shape)
        self.velocity = balancer.add_state("adam_velocity", shape)
        self.step_count = balancer.add_state("adam_count", shape)

    def step(self, gradient: Tensor) -> Tensor:
        """Takes one step against a gradient `[K]`, and returns the new values `[K]`."""
        value = self.state.value
        gradient = gradient + self.weight_decay * value
        step_count = self.step_count.value + 1
        # m = beta_1 m + (1 - beta_1) g, and the same of squares for v.
        momentum = self.momentum.value + 0.1 * (gradient - self.momentum.value)
        velocity = self.velocity.value + 0.001 * (gradient * gradient - self.velocity.value)
        # Moments began at 0, and are corrected for that.
        unbiased_momentum = momentum / (1 - 0.9**step_count)
        unbiased_velocity = velocity / (1 - 0.999**step_count)
        value = value - self.learning_rate * unbiased_momentum / (
            ops.sqrt(unbiased_velocity) + 1e-8
        )
        self.step_count.assign(step_count)
        self.momentum.assign(momentum)
        self.velocity.assign(velocity)
        self.state.assign(value)
        return value


__all__ = ["Adam"]
