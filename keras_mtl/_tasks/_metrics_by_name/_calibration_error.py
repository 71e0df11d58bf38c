"""The expected calibration error."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class CalibrationError(keras.metrics.Metric):
    """Computes how far predicted probabilities are from the rates that occur.

    The predictions are sorted into bins of equal width by their probability. The error is the
    mean over the bins, weighted by their labels, of the distance between mean label and mean
    prediction:

        sum_b |sum_(i in b) w_i (y_i - p_i)| / sum_i w_i

    Of yes-or-no labels, p is the probability of 1. Of several classes, p is the probability of
    the predicted class, and y whether it is the right one.

    Choose it where probabilities are used as such: as expected rates, or with costs. It says
    nothing of the order of the predictions: the constant rate has an error of 0.

    Args:
        num_bins: The number of bins. Defaults to `15`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        name: Name in the logs. Defaults to `"calibration_error"`.

    Call arguments:
        y_true: Labels `(labels, 1)` or class numbers `(labels,)`, or one-hot labels.
        y_pred: Predictions `(labels, 1)` or `(labels, num_classes)`.
        sample_weight: `None`, or weights `(labels,)`.

    Example:
        >>> metric = CalibrationError()
        >>> metric.update_state([[1], [0], [0], [1]], [[0.9], [0.2], [0.2], [0.9]])
        >>> round(float(metric.result()), 4)
        0.15

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """

    reads = "last axis"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "class", "one-hot", "distribution")

    def __init__(
        self, num_bins: int = 15, from_logits: bool = False, name: str = "calibration_error"
    ) -> None:
        super().__init__(name=name)
        if num_bins < 1:
            raise ValueError(f"{name}: num_bins must be at least 1; received {num_bins}")
        set_direction(self, "down")
        self.num_bins = num_bins
        self.from_logits = from_logits
        # Sums of weighted differences, and of weights.
        self.sums = self.add_variable((2, num_bins), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch."""
        labels = ops.convert_to_tensor(y_true)
        predictions = ops.convert_to_tensor(y_pred, dtype="float32")
        if predictions.shape[-1] == 1:
            if self.from_logits:
                predictions = ops.sigmoid(predictions)
            hits = ops.cast(ops.reshape(labels, (-1,)), "float32")
            confidence = ops.reshape(predictions, (-1,))
        else:
            if self.from_logits:
                predictions = ops.softmax(predictions)
            if len(labels.shape) == 2 and labels.shape[-1] != 1:
                labels = ops.argmax(labels, axis=-1)
            labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
            chosen = ops.cast(ops.argmax(predictions, axis=-1), "int32")
            hits = ops.cast(ops.equal(labels, chosen), "float32")
            confidence = ops.max(predictions, axis=-1)
        weights = ops.ones_like(hits)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        bins = ops.cast(
            ops.clip(ops.floor(confidence * self.num_bins), 0, self.num_bins - 1), "int32"
        )
        values = ops.concatenate([weights * (hits - confidence), weights])
        sums = ops.segment_sum(
            values, ops.concatenate([bins, bins + self.num_bins]), num_segments=2 * self.num_bins
        )
        self.sums.assign_add(ops.reshape(sums, self.sums.shape))

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return ops.sum(self.sums[1]) > 0.0

    def result(self) -> Tensor:
        """Returns the error so far; 0 without labels."""
        return ops.divide_no_nan(ops.sum(ops.abs(self.sums[0])), ops.sum(self.sums[1]))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"num_bins": self.num_bins, "from_logits": self.from_logits, "name": self.name}
