"""A function as a loss object."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class FunctionLoss(keras.losses.Loss):
    """Calls a function of labels and predictions, as `compile` does with one.

    Args:
        function: Takes labels and predictions, and returns the loss of each example.
        arguments: Further arguments of the function. Defaults to none.
        name: Optional name. Defaults to that of the function.

    Example:
        >>> loss = FunctionLoss(lambda y, p: keras.ops.abs(y - p), name="distance")
        >>> loss.name, float(loss(keras.ops.array([3.0]), keras.ops.array([1.0])))
        ('distance', 2.0)
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        arguments: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or getattr(function, "__name__", type(function).__name__))
        self.function = function
        self.arguments = dict(arguments or {})

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each example."""
        return self.function(y_true, y_pred, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        serialize = keras.saving.serialize_keras_object
        return {
            "function": serialize(self.function),
            "arguments": serialize(self.arguments),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FunctionLoss":
        """Builds the loss that `get_config` described."""
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})
