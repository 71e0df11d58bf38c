"""Copies of metrics, and their configuration."""

import inspect
import warnings
from typing import Any

import keras

from keras_mtl._keras_internals import copy_attributes


def copy_metric(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    """Returns a metric with the arguments of another, and a state of its own.

    The class need not be registered, and need not have a `get_config`. Metrics of class numbers
    that Keras counts in integers are counted in floats, so that weights may be fractions.

    Raises:
        TypeError: If the metric has state that cannot be copied.
    """
    dtype = None
    if isinstance(metric, keras.metrics.IoU) and "int" in str(metric.dtype):
        dtype = "float32"
    if _has_complete_config(metric):
        config = metric.get_config()
        copy = type(metric).from_config({**config, "dtype": dtype} if dtype else config)
    else:
        copy = copy_attributes(metric, dtype)
    copy.reset_state()
    return copy


def serialize_metric(metric: Any) -> Any:
    """Returns the configuration of a metric, a name or a function.

    If a class takes arguments that its `get_config` leaves out, they are read from the attributes
    of the same name.
    """
    serialized = keras.saving.serialize_keras_object(metric)
    if not isinstance(metric, keras.metrics.Metric) or _writes_config(type(metric)):
        return serialized
    config, missing = serialized["config"], []
    for name, parameter in inspect.signature(type(metric).__init__).parameters.items():
        if name in {"self", *config} or parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            continue
        holders = [holder for holder in (name, f"_{name}") if holder in vars(metric)]
        if holders:
            config[name] = keras.saving.serialize_keras_object(vars(metric)[holders[0]])
        else:
            missing.append(name)
    if missing:
        warnings.warn(
            f"metric {metric.name!r}: {type(metric).__name__}.get_config does not hold {missing}, "
            "so that a saved model is loaded with their defaults; write get_config.",
            stacklevel=2,
        )
    return serialized


def _writes_config(kind: type[keras.metrics.Metric]) -> bool:
    """Returns whether the class that writes the constructor, or a subclass, writes `get_config`."""
    for parent in kind.__mro__:
        if "get_config" in vars(parent):
            return True
        if "__init__" in vars(parent):
            return False
    return True


def _has_complete_config(metric: keras.metrics.Metric) -> bool:
    """Returns whether the class is one of Keras or of this package, which name all arguments."""
    kind = type(metric)
    # A wrapper's function may be one that cannot be found by its name.
    is_wrapper = kind is keras.metrics.MeanMetricWrapper
    return kind.__module__.startswith(("keras.", "keras_mtl.")) and not is_wrapper
