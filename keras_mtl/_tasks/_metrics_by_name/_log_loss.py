"""The mean negative log-likelihood of labels."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor

_EPSILON = 2.0**-23
"""Probabilities are clipped to [_EPSILON, 1 - _EPSILON], as scikit-learn clips float32."""


@keras.saving.register_keras_serializable(package="keras_mtl")
class LogLoss(keras.metrics.Metric):
    """Computes the mean negative log-likelihood of the labels:

        -(y log p + (1 - y) log(1 - p))    for yes-or-no labels
        -log p[y]                          for classes

    It is `log_loss` of scikit-learn. The probabilities are clipped at 1.2e-7, since the
    prediction holds no more digits.

    Choose it to compare probabilities over models whose losses differ, by label smoothing, focal
    weights or class weights.

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`.
        name: Name in the logs. Defaults to `"log_loss"`.

    Call arguments:
        y_true: Labels `(labels, 1)` or class numbers `(labels,)`, or one-hot labels.
        y_pred: Predictions `(labels, 1)` or `(labels, num_classes)`.
        sample_weight: `None`, or weights `(labels,)`.

    Example:
        >>> metric = LogLoss()
        >>> metric.update_state([0, 1], [[0.5, 0.5], [0.75, 0.25]])
        >>> round(float(metric.result()), 4)
        1.0397
    """

    reads = "last axis"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "class", "one-hot", "distribution")

    def __init__(self, from_logits: bool = False, name: str = "log_loss") -> None:
        super().__init__(name=name)
        set_direction(self, "down")
        self.from_logits = from_logits
        self.sums = self.add_variable((2,), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch."""
        labels = ops.convert_to_tensor(y_true)
        predictions = ops.convert_to_tensor(y_pred, dtype="float32")
        width = predictions.shape[-1]
        if self.from_logits:
            predictions = ops.sigmoid(predictions) if width == 1 else ops.softmax(predictions)
        if width == 1:
            labels = ops.reshape(ops.cast(labels, "float32"), (-1, 1))
            labels = ops.concatenate([1.0 - labels, labels], axis=-1)
            predictions = ops.concatenate([1.0 - predictions, predictions], axis=-1)
        elif len(labels.shape) < 2 or labels.shape[-1] == 1:
            labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
            labels = ops.one_hot(labels, width, dtype="float32")
        logarithms = ops.log(ops.clip(predictions, _EPSILON, 1.0 - _EPSILON))
        values = -ops.sum(ops.cast(labels, "float32") * logarithms, axis=-1)
        weights = ops.ones_like(values)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        self.sums.assign_add(ops.stack([ops.sum(values * weights), ops.sum(weights)]))

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return self.sums[1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean so far; 0 without labels."""
        return ops.divide_no_nan(self.sums[0], self.sums[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"from_logits": self.from_logits, "name": self.name}
