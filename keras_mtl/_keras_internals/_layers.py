"""The layers inside of a layer, and what metrics do not say in public."""

from typing import Any

import keras


def nested_layers(layer: keras.layers.Layer, *, include_self: bool = True) -> list[Any]:
    """Returns the layers inside of a layer at any depth, and the layer itself.

    `model.layers` lists the first level alone, and a layer that is no model lists none. It
    matters for freezing, too: of a layer that is frozen, Keras saves `trainable = False`, but
    not that of the layers inside.
    """
    return list(layer._flatten_layers(include_self=include_self))


def direction_of(metric: Any) -> str | None:
    """Returns `"up"` or `"down"`, towards better values of a metric; `None` where Keras is silent.

    Keras's own `mode="auto"` looks for the direction by the metric's unprefixed name, and so
    fails for each output of several (`docs/keras_notes.md`, F4; keras#18798).
    """
    return getattr(metric, "_direction", None)


def set_direction(metric: Any, direction: str | None) -> None:
    """Tells Keras whether a metric is better when it goes up or down."""
    metric._direction = direction


def is_built(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric has made its variables; some make them at the first batch."""
    return bool(getattr(metric, "_built", True))
