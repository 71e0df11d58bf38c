"""What a model keeps between steps, beside its variables and the balancer's state."""

from typing import Any

import tensorflow as tf

from keras_mtl._keras_internals import steps_so_far
from keras_mtl._types import Tensor
from keras_mtl.training._steps import StepResult


class StepState:
    """Holds the number of steps, the last task weights and how often tasks were left out.

    Args:
        model: The model that owns the variables, so that they are saved with it.
        num_losses: K, the number of losses.
    """

    def __init__(self, model: Any, num_losses: int) -> None:
        draws = model.prepare is not None or model.modulate is not None
        self._counts_steps = model.every > 1 or draws
        # All replicas assign the same values, so that those of the first one are kept.
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.iteration: Any = model.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", **options
        )
        self.task_weights: Any = model.add_weight(
            name="task_weights",
            shape=(num_losses,),
            dtype="float32",  # as statistics, whatever the policy of the network is
            initializer="ones",
            **options,
        )
        self.left_out: Any = model.add_weight(
            name="left_out", shape=(num_losses,), dtype="int32", initializer="zeros", **options
        )

        # For optimizers that add up gradients: which tasks took part since their last update.
        self._recent: Any = model.add_weight(
            name="recently_active",
            shape=(num_losses,),
            dtype="float32",
            initializer="zeros",
            **options,
        )

    def remember(self, active: Tensor, optimizer: Any, steps: int) -> Tensor:
        """Returns which tasks took part since the last update, for an optimizer that accumulates.

        Args:
            active: The tasks that take part in this step, bool `[K]`.
            optimizer: The optimizer, before this step.
            steps: Of how many steps it adds up the gradients.
        """
        recent = active | (tf.convert_to_tensor(self._recent) > 0.0)
        updates = tf.equal((steps_so_far(optimizer) + 1) % steps, 0)
        self._recent.assign(tf.cast(recent & ~updates, tf.float32))
        return recent

    def seed(self, use: int) -> Tensor:
        """Returns a seed, int32 `[2]`, for stateless draws: another one in each step and use."""
        return tf.stack([tf.cast(self.iteration.value, tf.int32), use])

    def make_due(self, every: int) -> None:
        """Lets the next step compute weights, whatever the period is."""
        ahead = -int(self.iteration.numpy()) % every
        self.iteration.assign_add(ahead)

    @property
    def stored_weights(self) -> Tensor:
        """The weights `[K]` of the last step that computed them."""
        return tf.convert_to_tensor(self.task_weights)

    def due(self, every: int) -> Tensor | None:
        """Returns whether this step computes weights; `None` if every step does."""
        return None if every == 1 else tf.equal(self.iteration.value % every, 0)

    def update(self, result: StepResult, took_part: Tensor, due: Tensor | None) -> None:
        """Stores the weights of a step that computed them, and counts the tasks that it left out.

        Args:
            result: The result of the step.
            took_part: Which tasks took part in it, bool `[K]`.
            due: Whether it computed weights; `None` if every step does.
        """
        # A task that took no part keeps its last weight, for the steps that reuse weights.
        fresh = took_part if due is None else took_part & due
        self.task_weights.assign(tf.where(fresh, result.weights, self.task_weights))
        self.left_out.assign_add(tf.cast(result.reported, tf.int32))
        if self._counts_steps:
            self.iteration.assign_add(1)
