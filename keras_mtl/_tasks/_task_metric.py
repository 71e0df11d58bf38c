"""Metrics of a task over its valid labels only."""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import direction_of, set_direction
from keras_mtl._tasks._copied_metric import serialize_metric
from keras_mtl._tasks._f_score import count_by_column, cut_single_entries
from keras_mtl._tasks._metric_reading import MetricInputs, MetricReading, rows_with_weight
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskMetric(keras.metrics.Metric):
    """Feeds the valid labels of a task to another metric, under the task's name in the logs.

    It prevents six mistakes: a mask of the prediction counts as weights, labels of shape
    `(batch,)` do not broadcast against predictions `(batch, 1)`, every label of a multi-label
    task has a weight of its own, a metric that looks along an axis gets that axis, a metric that
    does not obey its weights never sees a missing label, and no two tasks share one metric object.

    Args:
        metric: The `keras.metrics.Metric` to feed.
        reading: What the metric reads of a batch. Defaults to rows along the last axis.
        name: Name in the logs. Defaults to the metric's name.

    Example:
        >>> metric = TaskMetric(keras.metrics.MeanAbsoluteError(), name="mae")
        >>> metric.update_state([1.0, 9.0], [[3.0], [0.0]], sample_weight=[1.0, 0.0])
        >>> float(metric.result())
        2.0
    """

    def __init__(
        self,
        metric: keras.metrics.Metric,
        reading: MetricReading | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or metric.name)
        self.metric = metric
        self.reading = reading or MetricReading()
        set_direction(self, direction_of(metric))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch."""
        # A tensor comes back as it is, with the mask and the logits that ride on it.
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        sizes = y_pred.shape[1:] if self.reading.reads == "list" else y_pred.shape[-1:]
        if self.reading.compares and all(size == 1 for size in sizes):
            raise ValueError(
                f"metric {self.name!r} compares the entries of one example with each other, and "
                "here an example has one entry."
            )
        inputs = self.reading.lay_out(y_true, y_pred, sample_weight)
        if self.reading.drops:
            self._count_rows(*rows_with_weight(inputs))
        else:
            self._count(inputs)

    def _count_rows(self, inputs: MetricInputs, any_row: Tensor) -> None:
        """Counts a batch without its missing labels, or nothing if it has no others."""
        before = [(variable, ops.copy(variable)) for variable in self.metric.variables]
        self._count(inputs)
        for variable, value in before:
            variable.assign(ops.where(any_row, variable, value))

    def _count(self, inputs: MetricInputs) -> None:
        labels, predictions, weights = inputs
        cut_single_entries(self.metric, predictions.shape[-1])
        if isinstance(self.metric, keras.metrics.FBetaScore) and len(weights.shape) == 2:
            count_by_column(self.metric, inputs)
        elif self.reading.weighted:
            self.metric.update_state(labels, predictions, sample_weight=weights)
        else:
            self.metric.update_state(labels, predictions)

    def result(self) -> Tensor:
        """Returns the value of the metric that is fed; a vector of one number as that number."""
        # A variable, which a user's metric may return, is not a value on several replicas.
        value = keras.tree.map_structure(ops.copy, self.metric.result())
        return ops.reshape(value, ()) if getattr(value, "shape", None) == (1,) else value

    def reset_state(self) -> None:
        """Resets the metric."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {
            "metric": serialize_metric(self.metric),
            "reading": dataclasses.asdict(self.reading),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskMetric":
        """Builds the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        reading = config["reading"]  # JSON turns the tuple of cuts into a list
        reading = MetricReading(**{**reading, "cuts": tuple(reading["cuts"])})
        return cls(metric, reading, config["name"])
