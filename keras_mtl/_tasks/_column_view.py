"""Single values of a metric of columns: the worst and the best column, and columns by name."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from keras_mtl._keras_internals import direction_of, set_direction
from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._tasks._copied_metric import serialize_metric
from keras_mtl._tasks._metric_reading import MetricReading
from keras_mtl._tasks._metrics_by_name import Spearman
from keras_mtl._tasks._task_metric import TaskMetric
from keras_mtl._types import Tensor

Extreme = Literal["worst", "best"]


@keras.saving.register_keras_serializable(package="keras_mtl")
class ColumnView(keras.metrics.Metric):
    """Shows one value of a `ColumnMetric` that is updated elsewhere, and keeps no state itself.

    In a model that Keras loads from a file, each view has a metric of its own: Keras saves the
    metrics of a compiled model one by one.

    Args:
        metric: The metric that counts.
        which: The position of a column, or `"worst"` or `"best"` among the columns that have
            a value.
        name: Name in the logs.
        updates: Whether the view updates and resets the metric itself. Defaults to `False`.
    """

    def __init__(
        self,
        metric: ColumnMetric | Spearman,
        which: int | Extreme,
        name: str,
        *,
        updates: bool = False,
    ) -> None:
        super().__init__(name=name)
        self.which = which
        self.updates = updates
        if updates:
            self._source = metric
        else:
            # An attribute that Keras does not track: the metric is updated and reset once.
            object.__setattr__(self, "_source", metric)
        set_direction(self, direction_of(metric))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch, if no other metric does."""
        if not self.updates:
            return
        if isinstance(self._source, Spearman):
            inputs = MetricReading("column").lay_out(y_true, y_pred, sample_weight)
            y_true, y_pred, sample_weight = inputs
        self._source.update_state(y_true, y_pred, sample_weight)

    def reset_state(self) -> None:
        """Resets the metric that is shown, if it is no other that does."""
        if self.updates:
            self._source.reset_state()

    def result(self) -> Tensor:
        """Returns the value that is shown; for an extreme, 0 where no column has a value."""
        values = self._source.by_column()
        if isinstance(self.which, int):
            return values[self.which]
        known = self._source.known()
        is_lowest = (self.which == "worst") == (direction_of(self) == "up")
        # Columns without a value must not be the extreme one.
        ignored = float("inf") if is_lowest else -float("inf")
        values = ops.where(known, values, ignored)
        value = ops.min(values) if is_lowest else ops.max(values)
        return ops.where(ops.any(known), value, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a metric that shows the same and counts the labels itself."""
        return {"metric": serialize_metric(self._source), "which": self.which, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ColumnView":
        """Builds the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, config["which"], config["name"], updates=True)


def column_names(name: str, *, has_direction: bool, logged: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the metrics that `column_metrics` returns.

    Args:
        name: The name of the metric.
        has_direction: Whether it is known if the metric is better high or low.
        logged: The columns whose own values are logged.
    """
    extremes = ("worst", "best") if has_direction else ()
    return (name, *(f"{name}_{ending}" for ending in (*extremes, *logged)))


def column_metrics(
    metric: keras.metrics.Metric,
    columns: Sequence[str],
    logged: Sequence[str],
    prefix: str,
    *,
    cuts: Sequence[float] = (),
) -> list[keras.metrics.Metric]:
    """Returns a metric of columns, followed by views of single values of it.

    Args:
        metric: The metric to compute for each column.
        columns: The names of the columns.
        logged: The columns whose own values are logged.
        prefix: Begins the name of every metric.
        cuts: As in `ColumnMetric`. Defaults to none.

    Returns:
        The mean, `<prefix><metric>`, then `..._worst` and `..._best` if the metric has a
        direction, then `..._<column>` for each logged column.
    """
    has_direction = direction_of(metric) is not None
    name, *names = column_names(prefix + metric.name, has_direction=has_direction, logged=logged)
    source: ColumnMetric | Spearman
    if isinstance(metric, Spearman):  # counts all columns itself
        source = Spearman(len(columns))
        mean = TaskMetric(source, MetricReading("column"), name=name)
    else:
        mean = source = ColumnMetric(metric, len(columns), name=name, cuts=cuts)
    extremes: tuple[Extreme, ...] = ("worst", "best") if has_direction else ()
    which = [*extremes, *(columns.index(column) for column in logged)]
    views = zip(which, names, strict=True)
    return [mean, *(ColumnView(source, value, view) for value, view in views)]
