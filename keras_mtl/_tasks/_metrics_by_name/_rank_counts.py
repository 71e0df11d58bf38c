"""Metrics of ordered classes, computed from counts of labels beside decisions."""

import abc
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._types import Tensor


class RankCounts(keras.metrics.Metric, abc.ABC):
    """Counts how often each class is decided for each label.

    The decision is the median class: the number of k with P(y > k) > 1/2. It has the least mean
    distance from the label that a single class can have.

    Args:
        num_classes: The number of classes.
        name: Name in the logs.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(self, num_classes: int, name: str) -> None:
        super().__init__(name=name)
        if num_classes < 2:
            raise ValueError(f"{name}: num_classes must be at least 2; received {num_classes}")
        self.num_classes = num_classes
        # By label and decision.
        self.counts = self.add_variable((num_classes, num_classes), "zeros", name="counts")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch.

        Args:
            y_true: Class numbers `(labels,)`.
            y_pred: Probabilities `(labels, num_classes)`.
            sample_weight: `None`, or weights `(labels,)`.
        """
        labels = ops.one_hot(ops.cast(y_true, "int32"), self.num_classes, dtype="float32")
        labels = ops.reshape(labels, (-1, self.num_classes))
        below = ops.cumsum(ops.cast(y_pred, "float32"), axis=-1)[:, :-1]  # P(y <= k)
        ranks = ops.sum(ops.cast(below < 0.5, "int32"), axis=-1)
        decisions = ops.one_hot(ranks, self.num_classes, dtype="float32")
        if sample_weight is not None:
            weights = ops.cast(sample_weight, "float32")
            labels = labels * ops.reshape(weights, (-1, 1))
        self.counts.assign_add(ops.matmul(ops.transpose(labels), decisions))

    def distances(self) -> Tensor:
        """Returns the distance of each decision from each label, `[num_classes, num_classes]`."""
        ranks = ops.arange(self.num_classes, dtype="float32")
        return ops.abs(ranks[:, None] - ranks[None, :])

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return ops.sum(self.counts) > 0.0

    @abc.abstractmethod
    def result(self) -> Tensor:
        """Returns the value so far."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"num_classes": self.num_classes, "name": self.name}
