"""A metric of many columns, or of many tasks, with one value per column."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import build_metric, direction_of, set_direction
from keras_mtl._tasks._copied_metric import serialize_metric
from keras_mtl._tasks._label_weights import align_labels, label_weights
from keras_mtl._tasks._metric_reading import decide
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class ColumnMetric(keras.metrics.Metric):
    """Computes another metric for each column separately, and returns the mean of the columns.

    Each variable of the metric is kept for all columns in one variable, and one vectorized call
    updates them all: a thousand columns cost a few operations, not a thousand times as many.
    Columns without a valid label do not count, and neither do those for which the metric says
    that it is not defined, such as the area under the curve without positives.

    Args:
        metric: The `keras.metrics.Metric` to compute; its own state does not change. It gets the
            labels and predictions of one column, `(labels, 1)`, and one weight per label, and
            returns one number.
        num_columns: The number of columns.
        name: Name in the logs. Defaults to the metric's name.
        cuts: The metric gets decisions in place of predictions: 1 above the cut, else 0. One cut
            per column, or one for all. Defaults to none: it gets the predictions.

    Raises:
        ValueError: If the metric returns more than one number.

    Example:
        >>> metric = ColumnMetric(keras.metrics.MeanAbsoluteError(), num_columns=2)
        >>> metric.update_state([[1.0, 0.0], [2.0, 0.0]], [[2.0, 0.0], [3.0, 3.0]])
        >>> [float(value) for value in metric.by_column()], float(metric.result())
        ([1.0, 1.5], 1.25)
    """

    reads = "column"

    def __init__(
        self,
        metric: keras.metrics.Metric,
        num_columns: int,
        name: str | None = None,
        cuts: Sequence[float] = (),
    ) -> None:
        super().__init__(name=name or metric.name)
        build_metric(metric, np.zeros((2, 1), "float32"), np.zeros((2, 1), "float32"))
        size = np.size(metric.result())
        if size != 1:
            raise ValueError(
                f"metric {metric.name!r} returns {size} numbers; a metric of columns returns one "
                "for each column, such as with one threshold or with an average"
            )
        self.metric = metric
        self.num_columns = num_columns
        self.cuts = tuple(cuts)
        set_direction(self, direction_of(metric))
        # The weight of the labels of each column so far.
        self.labels = self.add_variable((num_columns,), "zeros", name="labels")
        # A metric need not begin with zeros.
        self._initial_states = [variable.numpy() for variable in metric.variables]
        self.states = [
            self.add_variable((num_columns, *variable.shape), "zeros", name=f"state_{i}")
            for i, variable in enumerate(metric.variables)
        ]
        self.reset_state()

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch, predictions `(batch, ..., num_columns)`."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        y_true = align_labels(y_true, y_pred, True)
        weights = label_weights(y_pred, y_pred, sample_weight)
        y_pred = decide(y_pred, self.cuts)

        def columns_first(values: Tensor) -> Tensor:
            flat = ops.reshape(ops.cast(values, "float32"), (-1, self.num_columns))
            return ops.transpose(flat)  # [num_columns, labels]

        def update_column(column: Any) -> Any:
            states, labels, predictions, weight = column
            return self.metric.stateless_update_state(
                states, labels[:, None], predictions[:, None], sample_weight=weight
            )

        states = [ops.convert_to_tensor(state) for state in self.states]
        columns = (states, columns_first(y_true), columns_first(y_pred), columns_first(weights))
        new_states = ops.vectorized_map(update_column, columns)
        for state, value in zip(self.states, new_states, strict=True):
            state.assign(value)
        self.labels.assign_add(ops.sum(columns_first(weights), axis=1))

    def by_column(self) -> Tensor:
        """Returns the value of each column, `[num_columns]`."""
        return ops.reshape(self._for_each_column(self.metric.result), (self.num_columns,))

    def known(self) -> Tensor:
        """Returns which columns have a value, bool `[num_columns]`."""
        labeled = self.labels > 0
        is_defined = getattr(self.metric, "is_defined", None)
        if is_defined is None:
            return labeled
        return ops.logical_and(labeled, self._for_each_column(is_defined))

    def _for_each_column(self, function: Callable[[], Tensor]) -> Tensor:
        """Returns what a method of the metric returns for the state of each column."""

        def call(states: Any) -> Tensor:
            state_mapping = list(zip(self.metric.variables, states, strict=True))
            with keras.StatelessScope(state_mapping=state_mapping):
                return function()

        return ops.vectorized_map(call, [ops.convert_to_tensor(state) for state in self.states])

    def result(self) -> Tensor:
        """Returns the mean over the columns that have a value; 0 where none has."""
        known = self.known()
        values = ops.where(known, self.by_column(), 0.0)
        return ops.divide_no_nan(ops.sum(values), ops.sum(ops.cast(known, "float32")))

    def reset_state(self) -> None:
        """Resets the metric."""
        self.labels.assign(ops.zeros_like(self.labels))
        for state, initial in zip(self.states, self._initial_states, strict=True):
            state.assign(ops.broadcast_to(initial, state.shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {
            "metric": serialize_metric(self.metric),
            "num_columns": self.num_columns,
            "name": self.name,
            "cuts": self.cuts,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ColumnMetric":
        """Builds the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, config["num_columns"], config["name"], config["cuts"])
