"""Gradient descent on what a balancer learns by itself, apart from the model's optimizer."""

from typing import Any

from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import TaskState


class Adam:
    """Adam on one number a task, with a count of steps for each: absent tasks stand still.

    Args:
        balancer: Who keeps the moments; make it in `build`.
        state: What is learned, `[K]`, `task_axes=1`.
        learning_rate: Length of a step.
        weight_decay: Added to the gradient, times the value (not decoupled). Defaults to `0.0`.

    Reference: Kingma & Ba (2015), arXiv:1412.6980.
    """

    def __init__(
        self, balancer: Any, state: TaskState, learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self.state = state
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        shape = tuple(state.variable.shape)
        self.momentum = balancer.add_state("adam_momentum", shape)
        self.velocity = balancer.add_state("adam_velocity", shape)
        self.count = balancer.add_state("adam_count", shape)

    def step(self, gradient: Tensor) -> Tensor:
        """Takes one step against a gradient `[K]`; returns the new values."""
        value = self.state.value
        gradient = gradient + self.weight_decay * value
        count = self.count.value + 1
        momentum = self.momentum.value + 0.1 * (gradient - self.momentum.value)
        velocity = self.velocity.value + 0.001 * (gradient * gradient - self.velocity.value)
        first = momentum / (1 - 0.9**count)
        second = velocity / (1 - 0.999**count)
        value = value - self.learning_rate * first / (ops.sqrt(second) + 1e-8)
        self.count.assign(count)
        self.momentum.assign(momentum)
        self.velocity.assign(velocity)
        self.state.assign(value)
        return value
