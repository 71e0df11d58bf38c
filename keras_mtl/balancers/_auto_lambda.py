"""Auto-Lambda: weights that serve chosen tasks on other data."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers, plain
from keras_mtl.balancers._solvers import Adam, nan_where_not_finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class AutoLambda(GramianBalancer):
    """Learns weights such that a step on the batch lowers the primary tasks' loss on another.

    With `theta' = theta - eta grad sum_i lambda_i L_i` the weights take a step of Adam against

        d/d lambda_i sum_j p_j L_j^val(theta')
            = -eta <grad L_i(theta), sum_j p_j grad L_j^val(theta')>

    Choose it where some tasks are there to help others (auxiliary tasks), and data can be spared
    to tell how much they do. Not the right choice where steps are dear: each takes two backward
    passes a task, and a forward pass of the other batch.

    Weights begin at `initial` and are not bound to a sum; a task that harms may get a negative
    one. Give `BalancedModel.fit` the other data as `balance_data`.

    Args:
        primary: The parts p that tasks have in the goal: one number for all, K of them, or a
            dict by task name; 0 for auxiliary tasks. Defaults to `1.0`.
        initial: The first weights. Defaults to `0.1`.
        learning_rate: Of the weights. Defaults to `1e-4`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range; when the model is made, if `primary` is not one
            number a task.

    Example:
        >>> balancer = AutoLambda(primary=[1.0, 0.0], learning_rate=0.01)
        >>> gains = [[0.5, 0.1], [-0.2, 0.3]]  # task 1 harms task 0 on the other batch
        >>> [round(float(weight), 3) for weight in balancer.weigh(gains, [1.0, 1.0])]
        [0.11, 0.09]

    Reference: Liu, James, Davison & Johns (2022), arXiv:2202.03091. The derivative is exact
    here, a product of gradients (the authors take the difference of two losses for it), the step
    that is looked ahead to is plain descent (their code adds momentum and weight decay), and
    the tasks' own variables take their own gradient unless `scale_towers=True`.
    """

    needs = Needs(second_batch=True)

    def __init__(
        self,
        *,
        primary: float | Sequence[float] | Mapping[str, float] = 1.0,
        initial: float = 0.1,
        learning_rate: float = 1e-4,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("primary", primary)
        check_numbers("initial", initial)
        check_numbers("learning_rate", learning_rate)
        self._primary = primary
        self.initial, self.learning_rate = float(initial), float(learning_rate)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._parts = self.per_task("primary", self._primary)
        initial = keras.initializers.Constant(self.initial)
        self.task_weights = self.add_state("task_weights", (num_tasks,), initial)
        self._descent = Adam(self, self.task_weights, self.learning_rate)

    def look_ahead_weights(self) -> Tensor:
        """The weights `[K]` so far."""
        return self.task_weights.value

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` after one step, for gains `[K, K]`: of weight i for task j."""
        usable = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float32")
        gains = ops.matmul(usable, self.present(self._parts))
        return nan_where_not_finite(self._descent.step(-gains), gramian)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "primary": plain(self._primary),
            "initial": self.initial,
            "learning_rate": self.learning_rate,
        }
