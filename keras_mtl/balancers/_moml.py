"""Multi-objective meta learning (MOML)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import (
    Adam,
    cosines_and_lengths,
    min_norm_point,
    nan_where_not_finite,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MOML(GramianBalancer):
    """Learns weights such that a step on the batch lowers every task's loss on another batch.

    With `theta' = theta - eta grad sum_i lambda_i L_i`, the derivatives of the loss of task j on
    the other batch with respect to the weights are

        (1)  h_j = d L_j^val(theta') / d lambda

    The weights take a step of Adam against the shortest vector in the convex hull of the
    normalized derivatives,

        (2)  sum_j a_j h_j / |h_j|

    Choose it when weights should serve all tasks on data that training has not seen. Not the
    right choice when steps are expensive: each step takes two backward passes per task, and a
    forward pass of the other batch.

    Weights begin at 1 and never become negative. Give the other data to `BalancedModel.fit` as
    `balance_data`.

    Guide:
        Choose it when: weights should serve all tasks on unseen data
        Not when: steps are expensive
        Source: Ye et al. 2021, NeurIPS

    Args:
        learning_rate: The learning rate of the weights. Defaults to `1e-3`.
        name: Optional name of the layer.

    Raises:
        ValueError: If the learning rate is negative or not finite.

    Example:
        >>> balancer = MOML(learning_rate=0.1)
        >>> gains = [[0.5, 0.1], [-0.2, -0.3]]  # task 1 harms both on the other batch
        >>> [round(float(weight), 2) for weight in balancer.weigh(gains, [1.0, 1.0])]
        [1.1, 0.9]

    Reference: Ye et al., Multi-Objective Meta Learning (NeurIPS 2021), with one inner step and
    gradients divided by their lengths, as in the authors' code for multi-task learning. The
    tasks' own variables take their own gradient unless `scale_towers=True`.
    """

    needs = Needs(second_batch=True)

    def __init__(
        self, *, learning_rate: float = 1e-3, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("learning_rate", learning_rate)
        self.learning_rate = float(learning_rate)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.task_weights = self.add_state("task_weights", (num_tasks,), "ones")
        self._descent = Adam(self, self.task_weights, self.learning_rate)

    def look_ahead_weights(self) -> Tensor:
        """Returns the current weights `[K]`."""
        return self.task_weights.value

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` after one step, for gains `[K, K]` of weight i for task j."""
        # Column j of the gains is -h_j of (1), up to a common factor.
        gains = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float64")
        largest = ops.max(ops.abs(gains))
        gains = gains / ops.where(largest > 0, largest, 1)
        cosines, lengths = cosines_and_lengths(ops.matmul(ops.transpose(gains), gains))
        # A task whose loss no weight changes has no influence.
        moved = lengths > 1e-12
        shares = ops.cast(min_norm_point(cosines), "float64")
        shares = ops.where(moved, shares / ops.where(moved, lengths, 1), 0)  # a_j / |h_j|
        common_gain = ops.cast(ops.matmul(gains, shares), "float32")  # (2), negated
        weights = ops.maximum(self._descent.step(-common_gain), 0)
        self.task_weights.assign(weights)
        return nan_where_not_finite(weights, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "learning_rate": self.learning_rate}
