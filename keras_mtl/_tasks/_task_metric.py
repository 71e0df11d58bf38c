"""Metrics of a task over its valid labels only."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import mask_of, with_mask
from keras_mtl._tasks._label_weights import align_labels, label_weights
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskMetric(keras.metrics.Metric):
    """Feeds the valid labels of a task to another metric, under the task's name in the logs.

    It prevents four mistakes: a mask of the prediction counts as weights, labels of shape
    `(batch,)` do not broadcast against predictions `(batch, 1)`, every label of a multi-label
    task has a weight of its own, and no two tasks share one metric object.

    Args:
        metric: The `keras.metrics.Metric` to feed.
        elementwise: Whether every entry of the prediction's last axis has a label of its own.
            Defaults to `False`.
        name: Name in the logs. Defaults to the metric's name.

    Example:
        >>> metric = TaskMetric(keras.metrics.MeanAbsoluteError(), name="mae")
        >>> metric.update_state([1.0, 9.0], [[3.0], [0.0]], sample_weight=[1.0, 0.0])
        >>> float(metric.result())
        2.0
    """

    def __init__(
        self, metric: keras.metrics.Metric, elementwise: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name=name or metric.name)
        self.metric = metric
        self.elementwise = elementwise

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch."""
        # Read first: a tensor that is converted or indexed has no mask.
        mask = mask_of(y_pred)
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        y_true = align_labels(y_true, y_pred, self.elementwise)
        if self.elementwise:
            # One row per label: Keras's metrics take one weight per row.
            weights = label_weights(y_pred, y_pred, sample_weight)
            flat = (-1, 1)
            y_true, y_pred = ops.reshape(y_true, flat), ops.reshape(y_pred, flat)
            weights = ops.reshape(weights, (-1,))
        else:
            values = with_mask(y_pred[..., 0], mask)
            weights = label_weights(values, values, sample_weight)
        self.metric.update_state(y_true, y_pred, sample_weight=weights)

    def result(self) -> Tensor:
        """Returns the value of the metric that is fed."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Resets the metric."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {
            "metric": keras.saving.serialize_keras_object(self.metric),
            "elementwise": self.elementwise,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskMetric":
        """Builds the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, config["elementwise"], config["name"])
