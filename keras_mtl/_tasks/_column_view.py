"""Single values of a metric of columns: the worst and the best column, and columns by name."""

from typing import Any, Literal

import keras
from keras import ops

from keras_mtl._keras_internals import direction_of, set_direction
from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._types import Tensor

Extreme = Literal["worst", "best"]


class ColumnView(keras.metrics.Metric):
    """Shows one value of a `ColumnMetric` that is updated elsewhere, and keeps no state itself.

    Args:
        metric: The metric that counts.
        which: The position of a column, or `"worst"` or `"best"` among the columns with labels.
        name: Name in the logs.
    """

    def __init__(self, metric: ColumnMetric, which: int | Extreme, name: str) -> None:
        super().__init__(name=name)
        # An attribute that Keras does not track: the metric is updated and reset once.
        object.__setattr__(self, "_source", metric)
        self.which = which
        set_direction(self, direction_of(metric))

    def update_state(self, *_: Any, **__: Any) -> None:
        """Does nothing: the metric that is shown counts the labels."""

    def reset_state(self) -> None:
        """Does nothing: the metric that is shown is reset itself."""

    def result(self) -> Tensor:
        """Returns the value that is shown; for an extreme, 0 where no column has a label."""
        values = self._source.by_column()
        if isinstance(self.which, int):
            return values[self.which]
        labeled = self._source.labels > 0
        is_lowest = (self.which == "worst") == (direction_of(self) == "up")
        # Columns without labels must not be the extreme one.
        ignored = float("inf") if is_lowest else -float("inf")
        values = ops.where(labeled, values, ignored)
        value = ops.min(values) if is_lowest else ops.max(values)
        return ops.where(ops.any(labeled), value, 0.0)


def column_metrics(
    metric: keras.metrics.Metric, columns: tuple[str, ...], logged: tuple[str, ...], prefix: str
) -> list[keras.metrics.Metric]:
    """Returns a metric of columns, followed by views of single values of it.

    Args:
        metric: The metric to compute for each column.
        columns: The names of the columns.
        logged: The columns whose own values are logged.
        prefix: Begins the name of every metric.

    Returns:
        The mean, `<prefix><metric>`, then `..._worst` and `..._best` if the metric has a
        direction, then `..._<column>` for each logged column.
    """
    name = prefix + metric.name
    mean = ColumnMetric(metric, len(columns), name=name)
    views: list[tuple[int | Extreme, str]] = [(columns.index(column), column) for column in logged]
    if direction_of(mean) is not None:
        views = [("worst", "worst"), ("best", "best"), *views]
    return [mean, *(ColumnView(mean, which, f"{name}_{ending}") for which, ending in views)]
