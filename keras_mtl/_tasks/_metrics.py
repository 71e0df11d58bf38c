"""Metrics of a task: found by name, rebuilt for each model, counted over valid labels only."""

import functools
from typing import Any, Literal

import keras
from keras import ops

from keras_mtl._keras_internals import direction_of, mask_of, set_direction, with_mask
from keras_mtl._tasks._loss import TaskLoss, align_labels, label_weights
from keras_mtl._types import Tensor

Mode = Literal["min", "max"]

_ALIASES = {"auc": "AUC", "rmse": "RootMeanSquaredError", "r2": "R2Score"}
_ACCURACY = {
    keras.losses.BinaryCrossentropy: "BinaryAccuracy",
    keras.losses.BinaryFocalCrossentropy: "BinaryAccuracy",
    keras.losses.CategoricalCrossentropy: "CategoricalAccuracy",
    keras.losses.SparseCategoricalCrossentropy: "SparseCategoricalAccuracy",
}
_BETTER: dict[str | None, Mode] = {"up": "max", "down": "min"}


def get_metric(identifier: Any, loss: keras.losses.Loss) -> keras.metrics.Metric:
    """A fresh metric for a name or for a metric object.

    Args:
        identifier: A name that Keras knows (`"mae"`), a short name of this package (`"auc"`),
            or a `keras.metrics.Metric`, of which an equal copy without state is made.
        loss: Tells the kind of task: `accuracy` is `BinaryAccuracy` for a binary one.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If it is neither a name nor a metric.
    """
    if isinstance(identifier, keras.metrics.Metric):
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(identifier)
        )
        copy.reset_state()
        return copy
    if not isinstance(identifier, str):
        raise TypeError(
            f"a metric is a name or a keras.metrics.Metric; received {identifier!r} of type "
            f"{type(identifier).__name__}"
        )
    found = _from_keras(_spell_out(identifier, loss))
    found.name = identifier
    return found


def metric_name(identifier: Any, loss: keras.losses.Loss) -> str:
    """The name of what `get_metric` gives, with the same errors."""
    if not isinstance(identifier, str):
        name: str = get_metric(identifier, loss).name
        return name
    _check_known(_spell_out(identifier, loss))
    return identifier


def _spell_out(name: str, loss: keras.losses.Loss) -> str:
    if name == "accuracy":
        return _ACCURACY.get(type(loss), name)
    return _ALIASES.get(name, name)


def _from_keras(name: str) -> keras.metrics.Metric:
    found = keras.metrics.get(name)
    if isinstance(found, type):
        found = found()
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found)
    return found


@functools.lru_cache
def _check_known(name: str) -> None:
    """Raises where Keras does not know the name; once, since metrics make variables."""
    _from_keras(name)


def metric_mode(metric: keras.metrics.Metric) -> Mode | None:
    """Whether the metric is to be maximized or minimized; `None` if Keras does not say."""
    return _BETTER.get(direction_of(metric))


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskMetric(keras.metrics.Metric):
    """Shows another metric the valid labels of a task, and carries its name in the logs.

    Closes four traps: a mask of the prediction counts as weights, labels of shape `(batch,)`
    do not broadcast against predictions `(batch, 1)`, every label of a multi-label task has a
    weight of its own, and one object is never shared by two tasks.

    Args:
        metric: The `keras.metrics.Metric` to feed.
        elementwise: Whether every entry of the prediction's last axis has its own label.
        name: Name in the logs. Defaults to the metric's.

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
        mask = mask_of(y_pred)
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        y_true = align_labels(y_true, y_pred, self.elementwise)
        if self.elementwise:
            weights = label_weights(y_pred, y_pred, sample_weight)
            flat = (-1, 1)
            y_true, y_pred = ops.reshape(y_true, flat), ops.reshape(y_pred, flat)
            weights = ops.reshape(weights, (-1,))
        else:
            values = with_mask(y_pred[..., 0], mask)
            weights = label_weights(values, values, sample_weight)
        self.metric.update_state(y_true, y_pred, sample_weight=weights)

    def result(self) -> Tensor:
        """The value of the metric that is fed."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {
            "metric": keras.saving.serialize_keras_object(self.metric),
            "elementwise": self.elementwise,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskMetric":
        """Makes the metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, config["elementwise"], config["name"])


@keras.saving.register_keras_serializable(package="keras_mtl")
class MeanLoss(keras.metrics.Metric):
    """Averages a task's unweighted loss over the valid labels of all batches.

    Keras's own `<task>_loss` averages the batches, so that a short last batch, or one with
    few labels, counts as much as a full one.

    Args:
        loss: The `TaskLoss` of the task.
        name: Name in the logs. Defaults to `"mean_loss"`.

    Example:
        >>> metric = MeanLoss(TaskLoss(keras.losses.MeanSquaredError()))
        >>> metric.update_state(ops.array([1.0, 0.0]), ops.array([[3.0], [0.0]]))
        >>> float(metric.result())
        2.0
    """

    def __init__(self, loss: TaskLoss, name: str = "mean_loss") -> None:
        super().__init__(name=name)
        set_direction(self, "down")
        self.loss = loss
        self.sums = self.add_variable((2, max(1, loss.num_columns)), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the valid labels of a batch."""
        sums = ops.stack(self.loss.total_and_count(y_true, y_pred, sample_weight))
        self.sums.assign_add(ops.reshape(sums, self.sums.shape))

    def result(self) -> Tensor:
        """The mean so far; of the columns with labels, where there are columns."""
        totals, counts = self.sums[0], self.sums[1]
        known = ops.cast(counts > 0, "float32")
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(totals, counts) * known), ops.sum(known))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {"loss": keras.saving.serialize_keras_object(self.loss), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MeanLoss":
        """Makes the metric that `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config["loss"]), config["name"])
