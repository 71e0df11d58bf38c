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
    """Learns weights with which a step on one batch lowers the primary losses on another batch.

    With `theta' = theta - eta grad sum_i lambda_i L_i`, where eta is the model's learning rate,
    Adam moves the weights lambda against

        d/d lambda_i sum_j p_j L_j^val(theta')
            = -eta <grad L_i(theta), sum_j p_j grad L_j^val(theta')>

    Choose it when some tasks exist only to help other tasks (auxiliary tasks), and some data can
    be spared to measure how much they help. It is not the right choice when a step must be cheap:
    each step takes two backward passes per task and one forward pass of the other batch.

    Weights begin at `initial`, and their sum is not fixed. A task that harms the primary tasks
    may get a negative weight. Pass the other data to `BalancedModel.fit` as `balance_data`.

    Guide:
        Choose it when: auxiliary tasks should serve primary ones
        Not when: steps are expensive
        Source: Liu et al. 2022, arXiv:2202.03091

    Args:
        primary: The coefficients p of the tasks in the objective: one number for all tasks, K
            numbers, or a dict by task name; 0 for auxiliary tasks. Defaults to `1.0`.
        initial: The first weight of each task. Defaults to `0.1`.
        learning_rate: Learning rate of the weights. Defaults to `1e-4`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range; when the model is created, if `primary` does not
            hold one number per task.

    Example:
        >>> balancer = AutoLambda(primary=[1.0, 0.0], learning_rate=0.01)
        >>> gains = [[0.5, 0.1], [-0.2, 0.3]]  # task 1 harms task 0 on the other batch
        >>> [round(float(weight), 3) for weight in balancer.weigh(gains, [1.0, 1.0])]
        [0.11, 0.09]

    Reference: Liu, James, Davison & Johns (2022), arXiv:2202.03091. Here the derivative is exact,
    a product of gradients (the authors approximate it by the difference of two losses). The step
    to theta' is plain gradient descent (the authors' code adds momentum and weight decay). Each
    task's own variables take the unweighted gradient of their task unless `scale_towers=True`.
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
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._coefficients = self.per_task("primary", self._primary)
        initial = keras.initializers.Constant(self.initial)
        self.task_weights = self.add_state("task_weights", (num_tasks,), initial)
        self._descent = Adam(self, self.task_weights, self.learning_rate)

    def look_ahead_weights(self) -> Tensor:
        """Returns the current weights lambda `[K]`, with which the step to theta' is taken."""
        return self.task_weights.value

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Moves the weights `[K]` by one step of Adam and returns them.

        Args:
            gramian: `[K, K]`; entry (i, j) is the decrease of task j's loss on the other batch
                per unit of weight i.
            losses: Losses `[K]`; not read.
        """
        usable = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float32")
        # [K]: minus the derivative of the docstring; the learning rate eta is in the Gramian.
        gains = ops.matmul(usable, self.select_active(self._coefficients))
        return nan_where_not_finite(self._descent.step(-gains), gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {
            **super().get_config(),
            "primary": plain(self._primary),
            "initial": self.initial,
            "learning_rate": self.learning_rate,
        }
