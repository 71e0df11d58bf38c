"""The loss of a task on a batch: the mean over the valid labels on all replicas."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of, with_logits
from keras_mtl._replicas import sum_over_replicas
from keras_mtl._tasks._label_weights import align_labels, label_weights
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskLoss(keras.losses.Loss):
    """Averages a Keras loss over the valid labels of the global batch.

    With the loss l and the weight w of each label, the loss of a task on a batch is

        sum(w * l) / sum(w)

    with both sums over the batch of all replicas together. It is exactly 0 where no label is
    valid. (Keras divides by the batch size instead, so a task with 10 % of its labels would weigh
    a tenth of what it should; and Keras's own `mean_with_sample_weight` divides on each replica
    separately.)

    Args:
        loss: A `keras.losses.Loss`.
        elementwise: Whether every entry of the last axis has a label and a weight of its own
            (multi-label tasks and regressions with several targets). Defaults to `False`.
        name: Optional name.
        num_columns: The number of entries of the last axis that are tasks of their own: each
            entry then has a mean of its own, and the loss is the sum of these means. 0 if the
            task has no columns. Defaults to `0`.

    Call arguments:
        y_true: Labels, of the prediction's shape or without its last axis.
        y_pred: Predictions.
        sample_weight: `None`, or weights from shape `(batch,)` up to one weight per label; zero
            where the label is missing.

    Example:
        >>> loss = TaskLoss(keras.losses.MeanSquaredError())
        >>> float(loss(ops.array([1.0, 9.0]), ops.array([[3.0], [0.0]]), ops.array([1.0, 0.0])))
        4.0
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        elementwise: bool = False,
        name: str | None = None,
        num_columns: int = 0,
    ) -> None:
        super().__init__(name=name or loss.name)
        self.loss = loss
        self.elementwise = elementwise
        self.num_columns = num_columns

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each label.

        Returns:
            Losses of the prediction's shape, without the last axis unless `elementwise`.
        """
        y_true = align_labels(y_true, y_pred, self.elementwise)
        if self.elementwise:
            # Keras losses average over the last axis: give them one of length 1.
            logits = logits_of(y_pred)
            y_true, y_pred = ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
            if logits is not None:
                # The new tensor has lost the logits.
                y_pred = with_logits(y_pred, ops.expand_dims(logits, -1))
        return self.loss.call(y_true, y_pred)

    def total_and_count(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns `sum(w * l)` and `sum(w)` over the labels of this replica.

        Returns:
            Two scalars, or two vectors `[num_columns]` if there are columns.
        """
        values = ops.cast(self.call(y_true, y_pred), "float32")
        weights = label_weights(values, y_pred, sample_weight)
        axes = tuple(range(len(values.shape) - 1)) if self.num_columns else None
        return ops.sum(values * weights, axis=axes), ops.sum(weights, axis=axes)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Computes this replica's part of the loss; the parts of all replicas add up to it."""
        total, count = self.total_and_count(y_true, y_pred, sample_weight)
        parts = ops.divide_no_nan(total, sum_over_replicas(ops.stop_gradient(count)))
        return ops.sum(parts) if self.num_columns else parts

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "elementwise": self.elementwise,
            "name": self.name,
            "num_columns": self.num_columns,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskLoss":
        """Builds the loss that `get_config` described."""
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(loss, config["elementwise"], config["name"], config.get("num_columns", 0))
