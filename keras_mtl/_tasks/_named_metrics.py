"""Metrics by name, and whether they are better high or low."""

import functools
from typing import Any, Literal

import keras

from keras_mtl._keras_internals import direction_of

Mode = Literal["min", "max"]
"""Whether a metric is better low or high, in the word of Keras's callbacks."""

_ALIASES = {"auc": "AUC", "rmse": "RootMeanSquaredError", "r2": "R2Score"}
# Keras chooses among these by shapes; here the loss says which one is meant.
_ACCURACY = {
    keras.losses.BinaryCrossentropy: "BinaryAccuracy",
    keras.losses.BinaryFocalCrossentropy: "BinaryAccuracy",
    keras.losses.CategoricalCrossentropy: "CategoricalAccuracy",
    keras.losses.SparseCategoricalCrossentropy: "SparseCategoricalAccuracy",
}
_BETTER: dict[str | None, Mode] = {"up": "max", "down": "min"}


def get_metric(identifier: Any, loss: keras.losses.Loss) -> keras.metrics.Metric:
    """Returns a new metric for a name or for a metric object.

    Args:
        identifier: A name that Keras knows (`"mae"`), a short name of this package (`"auc"`),
            or a `keras.metrics.Metric`, of which an equal copy without state is returned.
        loss: The loss of the task, which decides the meaning of `"accuracy"`: `BinaryAccuracy`
            for a binary task.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is neither a name nor a metric.
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
    metric = _from_keras(_spell_out(identifier, loss))
    metric.name = identifier
    return metric


def metric_name(identifier: Any, loss: keras.losses.Loss) -> str:
    """Returns the name of the metric that `get_metric` returns, and raises the same errors."""
    if not isinstance(identifier, str):
        name: str = get_metric(identifier, loss).name
        return name
    _check_known(_spell_out(identifier, loss))
    return identifier


def metric_mode(metric: keras.metrics.Metric) -> Mode | None:
    """Returns `"max"` or `"min"` for a metric; `None` where Keras does not say."""
    return _BETTER.get(direction_of(metric))


def _spell_out(name: str, loss: keras.losses.Loss) -> str:
    """Returns the name of Keras for a name of this package."""
    if name == "accuracy":
        return _ACCURACY.get(type(loss), name)
    return _ALIASES.get(name, name)


def _from_keras(name: str) -> keras.metrics.Metric:
    """Returns a new metric for a name of Keras, which may stand for a class or a function."""
    metric = keras.metrics.get(name)
    if isinstance(metric, type):
        metric = metric()
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric)
    return metric


@functools.lru_cache
def _check_known(name: str) -> None:
    """Checks that Keras knows the name; once per name, since a metric makes variables."""
    _from_keras(name)
