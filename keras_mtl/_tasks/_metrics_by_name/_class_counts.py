"""Metrics that are computed from counts of classes: labels, predictions, and hits."""

import abc
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


class ClassCounts(keras.metrics.Metric, abc.ABC):
    """Counts for each class how often it is the label, how often it is predicted, and the hits.

    The predicted class is the one of the largest entry; of a single entry, whether it is above
    the threshold. Subclasses define `result` by the three counts.

    Args:
        num_classes: The number of classes; 2 for yes-or-no labels.
        threshold: The prediction above which a single entry means class 1.
        name: Name in the logs.
    """

    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "class", "one-hot", "distribution")

    def __init__(self, num_classes: int, threshold: float, name: str) -> None:
        super().__init__(name=name)
        if num_classes < 2:
            raise ValueError(f"{name}: num_classes must be at least 2; received {num_classes}")
        set_direction(self, "up")
        self.num_classes = num_classes
        self.threshold = threshold
        self.counts = self.add_variable((3, num_classes), "zeros", name="counts")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch.

        Args:
            y_true: Class numbers `(labels,)` or `(labels, 1)`, or one-hot labels
                `(labels, num_classes)`.
            y_pred: Predictions `(labels, num_classes)`, or `(labels, 1)` for two classes.
            sample_weight: `None`, or weights `(labels,)`.
        """
        labels, predictions = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(labels.shape) == 2 and labels.shape[-1] not in (1, None):
            labels = ops.argmax(labels, axis=-1)
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        if predictions.shape[-1] == 1:
            chosen = ops.reshape(ops.cast(predictions > self.threshold, "int32"), (-1,))
        else:
            chosen = ops.cast(ops.argmax(predictions, axis=-1), "int32")
        weights = ops.ones_like(labels, dtype="float32")
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        hits = weights * ops.cast(ops.equal(labels, chosen), "float32")
        values = ops.concatenate([weights, weights, hits])
        steps = [labels, chosen + self.num_classes, labels + 2 * self.num_classes]
        counts = ops.segment_sum(values, ops.concatenate(steps), num_segments=3 * self.num_classes)
        self.counts.assign_add(ops.reshape(counts, self.counts.shape))

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return ops.sum(self.counts[0]) > 0.0

    @abc.abstractmethod
    def result(self) -> Tensor:
        """Returns the value so far."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"num_classes": self.num_classes, "threshold": self.threshold, "name": self.name}


def mean_where(values: Tensor, known: Tensor) -> Tensor:
    """Returns the mean of the known values; 0 where none is known."""
    known = ops.cast(known, "float32")
    return ops.divide_no_nan(ops.sum(values * known), ops.sum(known))
