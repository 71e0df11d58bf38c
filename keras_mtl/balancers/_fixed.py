"""Fixed weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import LossBalancer, check_numbers, plain


@keras.saving.register_keras_serializable(package="keras_mtl")
class Fixed(LossBalancer):
    """Minimizes a sum of the losses with weights of your choice: `sum_i w_i L_i`.

    Choose it when weights are known, for example from `keras_mtl.tuning.search_task_weights`.
    It equals `loss_weights` in `keras.Model.compile`, and multiplies `Task.weight` if that is
    set too. It is not the right choice when the scales of the losses drift during training.

    The weights are used as they are, not normalized. They are state:
    `balancer.task_weights.assign` in a callback changes them during training, and a checkpoint
    restores them.

    Guide:
        Choose it when: weights are known, or searched
        Not when: weights should change in training
        Source: this package

    Args:
        weights: A dict by task name, or K numbers in the order of the tasks; finite, not
            negative, not all zero.
        name: Optional name of the layer.

    Raises:
        ValueError: If a weight is negative or not finite, or all are zero; when the model is
            created, if there is not exactly one weight per task.

    Example:
        >>> balancer = Fixed({"click": 1.0, "price": 0.1})
        >>> balancer.bind(["price", "click"])  # as a BalancedModel does
        >>> round(float(balancer.scalarize([20.0, 3.0])), 4)
        5.0
    """

    def __init__(
        self,
        weights: Mapping[str, float] | Sequence[float],
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(weights, Mapping):
            weights = tuple(float(weight) for weight in weights)
        check_numbers("weights", weights)
        if not any(weights.values() if isinstance(weights, Mapping) else weights):
            raise ValueError(f"weights must not all be zero; received {weights!r}.")
        self._initial_weights = weights

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        values = self.per_task("weights", self._initial_weights)
        self.task_weights = self.add_state(
            "task_weights", (num_tasks,), lambda shape, dtype: ops.array(values, dtype)
        )

    def scalarize(self, losses: Tensor) -> Tensor:
        """Returns the weighted sum of the losses `[K]`."""
        return ops.sum(ops.stop_gradient(self.task_weights.value) * losses)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "weights": plain(self._initial_weights)}
