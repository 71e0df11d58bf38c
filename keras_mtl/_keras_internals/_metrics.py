"""What metrics do not say in public: direction, function, state, and how one is copied."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_mtl._types import Tensor

# Attributes that the constructor of `keras.metrics.Metric` makes.
_OF_BASE = {"name", "_dtype_policy", "_dtype", "_metrics", "_variables", "_tracker"}


def direction_of(metric: Any) -> str | None:
    """Returns `"up"` or `"down"`, towards better values of a metric; `None` where Keras is silent.

    Keras's own `mode="auto"` looks for the direction by the metric's unprefixed name, and so
    fails for each output of several (docs/keras_notes.md, F4; keras#18798).
    """
    return getattr(metric, "_direction", None)


def set_direction(metric: Any, direction: str | None) -> None:
    """Tells Keras whether a metric is better when it goes up or down."""
    metric._direction = direction


def function_of(metric: keras.metrics.Metric) -> Callable[..., Tensor] | None:
    """Returns the function that a `MeanMetricWrapper` averages; `None` for other metrics."""
    return getattr(metric, "_fn", None)


def arguments_of_function(judge: Any) -> Mapping[str, Any]:
    """Returns the further arguments of the function that a metric or a loss averages."""
    return dict(getattr(judge, "_fn_kwargs", {}))


def reads_logits(judge: keras.metrics.Metric | keras.losses.Loss) -> bool | None:
    """Returns the argument `from_logits` of a metric or a loss; `None` where there is none."""
    arguments = arguments_of_function(judge)
    for value in (
        arguments.get("from_logits"),
        getattr(judge, "from_logits", None),
        getattr(judge, "_from_logits", None),
    ):
        if value is not None:
            return bool(value)
    return None


def build_metric(metric: keras.metrics.Metric, *inputs: Tensor) -> None:
    """Makes the variables of a metric that makes them at the first batch, and counts nothing.

    Args:
        metric: The metric.
        inputs: Labels, predictions and weights of the ranks and widths of a batch.
    """
    if not getattr(metric, "_built", True):
        with keras.StatelessScope():
            metric.update_state(*inputs)


def copy_attributes(metric: keras.metrics.Metric, dtype: str | None = None) -> keras.metrics.Metric:
    """Returns a metric with the attributes of another, and variables of its own.

    The constructor is not called, so that the copy has all arguments of the original, whatever
    `get_config` says of them (docs/keras_notes.md, pain 110). Containers are copied; other
    objects, such as functions and layers, are shared.

    Args:
        metric: The metric.
        dtype: The dtype of the copy, for all its variables. Defaults to the dtypes of `metric`.

    Raises:
        TypeError: If the metric has state that cannot be copied.
    """
    copy = object.__new__(type(metric))
    keras.metrics.Metric.__init__(copy, dtype=dtype or metric._dtype_policy, name=metric.name)
    copies: dict[int, Any] = {}
    for variable in metric._variables:
        copies[id(variable)] = _copy_variable(copy, variable, dtype)
    for inner in metric._metrics:
        copies[id(inner)] = copy_attributes(inner, dtype)
    for name, value in vars(metric).items():
        if name not in _OF_BASE:
            setattr(copy, name, _copy_value(value, copies, f"{type(metric).__name__}.{name}"))
    return copy


def _copy_variable(
    metric: keras.metrics.Metric, variable: keras.Variable, dtype: str | None
) -> keras.Variable:
    value = variable.numpy()  # NumPy warns of `np.array` (docs/keras_notes.md, 114)
    return metric.add_variable(
        shape=variable.shape,
        initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(value, dtype=dtype),
        dtype=dtype or variable.dtype,
        aggregation=variable.aggregation,
        name=variable.name,
    )


def _copy_value(value: Any, copies: dict[int, Any], where: str) -> Any:
    """Returns a value with the variables and metrics in it replaced by their copies."""
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, dict):
        return {key: _copy_value(entry, copies, where) for key, entry in value.items()}
    if isinstance(value, list | set) or (
        isinstance(value, tuple) and not hasattr(value, "_fields")
    ):
        kind = next(kind for kind in (list, set, tuple) if isinstance(value, kind))
        return kind(_copy_value(entry, copies, where) for entry in value)
    if isinstance(value, keras.Variable) or (hasattr(value, "assign") and hasattr(value, "dtype")):
        raise TypeError(
            f"{where} is a variable that Keras does not know of, so that copies of the metric "
            "would share it; make it with self.add_variable(shape, initializer)"
        )
    return value
