"""The accuracy of a distribution over classes."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class ClassAccuracy(keras.metrics.Mean):
    """Computes the share of examples whose class has the largest entry of the prediction.

    Labels are class numbers or one-hot; their shape tells which. The name `"accuracy"` stands for
    it where neither the loss nor the task's labels say so before.

    Args:
        name: Name in the logs. Defaults to `"accuracy"`.

    Example:
        >>> metric = ClassAccuracy()
        >>> metric.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
        >>> float(metric.result())
        0.5
    """

    reads = "last axis"
    kinds: ClassVar[tuple[str, ...]] = ("class", "one-hot", "distribution")

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name=name)
        set_direction(self, "up")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch."""
        labels, predictions = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(labels.shape) == len(predictions.shape) and labels.shape[-1] != 1:
            labels = ops.argmax(labels, axis=-1)
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        chosen = ops.cast(ops.argmax(predictions, axis=-1), "int32")
        super().update_state(ops.equal(labels, ops.reshape(chosen, (-1,))), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"name": self.name}
