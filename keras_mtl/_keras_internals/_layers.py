"""The layers inside of a layer, and what metrics do not say in public."""

from typing import Any

import keras


def nested_layers(layer: keras.layers.Layer, *, include_self: bool = True) -> list[Any]:
    """Returns the layers inside of a layer at any depth, and the layer itself.

    `model.layers` lists the first level only, and a layer that is not a model has no such list. The
    layers inside matter for freezing, too: Keras saves that a layer is frozen, but not that the
    layers inside it are (docs/keras_notes.md, pain 66).
    """
    return list(layer._flatten_layers(include_self=include_self))


def direction_of(metric: Any) -> str | None:
    """Returns `"up"` or `"down"`, towards better values of a metric; `None` where Keras is silent.

    Keras's own `mode="auto"` looks for the direction by the metric's unprefixed name, and so
    fails for each output of several (docs/keras_notes.md, F4; keras#18798).
    """
    return getattr(metric, "_direction", None)


def set_direction(metric: Any, direction: str | None) -> None:
    """Tells Keras whether a metric is better when it goes up or down."""
    metric._direction = direction


def is_built(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric has made its variables.

    Some, such as `keras.metrics.F1Score`, make them at the first batch (docs/keras_notes.md,
    pain 77).
    """
    return bool(getattr(metric, "_built", True))
