"""Metrics of a task whose columns are tasks of their own: one value a column, at once."""

from typing import Any, Literal

import keras
from keras import ops

from keras_mtl._keras_internals import direction_of, set_direction
from keras_mtl._tasks._loss import align_labels, label_weights
from keras_mtl._types import Tensor

Which = Literal["worst", "best"]


@keras.saving.register_keras_serializable(package="keras_mtl")
class ColumnMetric(keras.metrics.Metric):
    """Counts another metric for each column apart, and shows the mean of the columns.

    The metric's state is kept for all columns in one variable, and updated for all of them by
    one vectorized call: a thousand columns cost a few operations, not a thousand. Columns
    without a valid label do not count.

    Args:
        metric: The `keras.metrics.Metric` to count; its own state stays as it is.
        num_columns: How many columns.
        name: Name in the logs. Defaults to the metric's.

    Example:
        >>> metric = ColumnMetric(keras.metrics.MeanAbsoluteError(), num_columns=2)
        >>> metric.update_state([[1.0, 0.0], [2.0, 0.0]], [[2.0, 0.0], [3.0, 3.0]])
        >>> [float(value) for value in metric.by_column()], float(metric.result())
        ([1.0, 1.5], 1.25)
    """

    def __init__(
        self, metric: keras.metrics.Metric, num_columns: int, name: str | None = None
    ) -> None:
        super().__init__(name=name or metric.name)
        self.metric = metric
        self.num_columns = num_columns
        set_direction(self, direction_of(metric))
        self.labels = self.add_variable((num_columns,), "zeros", name="labels")
        self._first = [ops.convert_to_numpy(variable) for variable in metric.variables]
        self.states = [
            self.add_variable((num_columns, *variable.shape), "zeros", name=f"state_{i}")
            for i, variable in enumerate(metric.variables)
        ]
        self.reset_state()

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        y_true = align_labels(y_true, y_pred, True)
        weights = label_weights(y_pred, y_pred, sample_weight)

        def by_column(values: Tensor) -> Tensor:
            flat = ops.reshape(ops.cast(values, "float32"), (-1, self.num_columns))
            return ops.transpose(flat)

        def count(column: Any) -> Any:
            states, labels, predictions, weight = column
            return self.metric.stateless_update_state(
                states, labels[:, None], predictions[:, None], sample_weight=weight
            )

        states = [ops.convert_to_tensor(state) for state in self.states]
        columns = (states, by_column(y_true), by_column(y_pred), by_column(weights))
        for state, value in zip(self.states, ops.vectorized_map(count, columns), strict=True):
            state.assign(value)
        self.labels.assign_add(ops.sum(by_column(weights), axis=1))

    def by_column(self) -> Tensor:
        """The value of each column."""
        states = [ops.convert_to_tensor(state) for state in self.states]
        return ops.vectorized_map(self.metric.stateless_result, states)

    def result(self) -> Tensor:
        """The mean over the columns that had labels."""
        known = ops.cast(self.labels > 0, "float32")
        return ops.divide_no_nan(ops.sum(self.by_column() * known), ops.sum(known))

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.labels.assign(ops.zeros_like(self.labels))
        for state, first in zip(self.states, self._first, strict=True):
            state.assign(ops.broadcast_to(first, state.shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {
            "metric": keras.saving.serialize_keras_object(self.metric),
            "num_columns": self.num_columns,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ColumnMetric":
        """Makes the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, config["num_columns"], config["name"])


class ColumnView(keras.metrics.Metric):
    """Shows one value of a `ColumnMetric` that is counted elsewhere; keeps nothing itself.

    Args:
        metric: The metric that counts.
        which: The position of a column, or `"worst"` or `"best"` of those with labels.
        name: Name in the logs.
    """

    def __init__(self, metric: ColumnMetric, which: int | Which, name: str) -> None:
        super().__init__(name=name)
        # Plain attributes, which Keras does not track: the metric is counted and reset once.
        object.__setattr__(self, "_source", metric)
        self.which = which
        set_direction(self, direction_of(metric))

    def update_state(self, *_: Any, **__: Any) -> None:
        """Does nothing: the metric that is shown counts."""

    def reset_state(self) -> None:
        """Does nothing."""

    def result(self) -> Tensor:
        """The value that is shown; 0 where no column had a label."""
        values = self._source.by_column()
        if isinstance(self.which, int):
            return values[self.which]
        known = self._source.labels > 0
        lowest = (self.which == "worst") == (direction_of(self) == "up")
        far = float("inf") if lowest else -float("inf")
        values = ops.where(known, values, far)
        value = ops.min(values) if lowest else ops.max(values)
        return ops.where(ops.any(known), value, 0.0)


def column_metrics(
    metric: keras.metrics.Metric, columns: tuple[str, ...], logged: tuple[str, ...], prefix: str
) -> list[keras.metrics.Metric]:
    """A metric of columns: its mean, the worst and best column, and those asked for by name."""
    name = prefix + metric.name
    counted = ColumnMetric(metric, len(columns), name=name)
    views: list[tuple[int | Which, str]] = [(columns.index(each), each) for each in logged]
    if direction_of(counted) is not None:
        views = [("worst", "worst"), ("best", "best"), *views]
    return [counted, *(ColumnView(counted, which, f"{name}_{end}") for which, end in views)]
