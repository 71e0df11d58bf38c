"""The layers inside of a layer."""

from typing import Any

import keras


def nested_layers(layer: keras.layers.Layer, *, include_self: bool = True) -> list[Any]:
    """Returns the layers inside of a layer at any depth, and the layer itself.

    `model.layers` lists the first level only, and a layer that is not a model has no such list. The
    layers inside matter for freezing, too: Keras saves that a layer is frozen, but not that the
    layers inside it are (docs/keras_notes.md, pain 66).
    """
    return list(layer._flatten_layers(include_self=include_self))
