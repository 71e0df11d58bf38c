"""A body that is one layer, and what it reads."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task
from keras_mtl.architectures._building._inputs import read_inputs
from keras_mtl.architectures._building._parts import Part
from keras_mtl.architectures._building._shared_stages import live_stage


def read_body(
    inputs: Any, tasks: Iterable[Task], body: Part | keras.layers.Layer, activation: Any
) -> tuple[Any, Any, keras.layers.Layer]:
    """What a network is fed with, what its body reads, and the body as one built layer.

    Args:
        inputs: As of any builder; a body that takes a dict by name reads a dict as it is.
        tasks: The tasks, whose names no input may bear.
        body: Units, a recipe, or a Keras layer or model.
        activation: Activation of layers made from units.

    Raises:
        ValueError: If the body returns anything but one tensor.
    """
    by_name = isinstance(inputs, dict) and is_functional(body) and isinstance(body.input, dict)
    inputs, features = read_inputs(inputs, tasks, join=not by_name)
    layer = live_stage(body, features, "shared_body", activation)
    output = _output_of(layer, features)
    if not isinstance(output, keras.KerasTensor):
        raise ValueError(
            f"body: expected one tensor; {layer.name!r} returns {output!r}. Pick one output: "
            "keras.Model(model.input, model.output[...])."
        )
    return inputs, features, layer


def _output_of(layer: keras.layers.Layer, features: Any) -> Any:
    """What a layer returns; builds it."""
    if isinstance(layer, keras.Sequential) and not layer.built:
        layer.build(features.shape)
    is_built_model = isinstance(layer, keras.Model) and layer.built
    return layer.compute_output_spec(features) if is_built_model else layer(features)


def as_graph(layer: keras.layers.Layer, features: Any) -> keras.Model:
    """A functional model of the layers of a body.

    Raises:
        ValueError: If the body is a model that does not show its layers.
    """
    if is_functional(layer):
        return layer
    if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential):
        raise ValueError(
            f"body: the model {layer.name!r} is no functional or sequential one, so that there "
            "is no place between its layers. Choose lora, which needs none."
        )
    inputs = output = keras.Input(features.shape[1:], dtype=features.dtype)
    for each in layer.layers if isinstance(layer, keras.Sequential) else [layer]:
        output = each(output)
    return keras.Model(inputs, output)
