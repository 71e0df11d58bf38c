"""Bodies that are one layer, such as a pretrained model, and the layers inside of them."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task
from keras_mtl._types import Activation
from keras_mtl.architectures._building._inputs import read_inputs
from keras_mtl.architectures._building._parts import Part
from keras_mtl.architectures._building._shared_stages import stage_as_layer


def read_body(
    inputs: Any, tasks: Iterable[Task], body: Part | keras.layers.Layer, activation: Activation
) -> tuple[Any, Any, keras.layers.Layer]:
    """Returns the inputs of a network, the features that its body reads, and the body.

    Args:
        inputs: Inputs as any builder takes them; a body that takes a dict by name reads a dict of
            inputs as it is.
        tasks: The tasks; no input may have the name of a task.
        body: Units, a recipe, or a Keras layer or model.
        activation: Activation of layers made from units.

    Returns:
        The inputs of the model to be made, the features, and the body as one built layer.

    Raises:
        ValueError: If the body returns anything but one tensor.
    """
    by_name = isinstance(inputs, dict) and is_functional(body) and isinstance(body.input, dict)
    inputs, features = read_inputs(inputs, tasks, join=not by_name)
    layer = stage_as_layer(body, features, "shared_body", activation)
    output = _build_and_call(layer, features)
    if not isinstance(output, keras.KerasTensor):
        raise ValueError(
            f"body: expected one tensor; {layer.name!r} returns {output!r}. Pick one output: "
            "keras.Model(model.input, model.output[...])."
        )
    return inputs, features, layer


def _build_and_call(layer: keras.layers.Layer, features: Any) -> Any:
    """Returns the symbolic output of a layer, which is built if it is not."""
    if isinstance(layer, keras.Sequential) and not layer.built:
        layer.build(features.shape)
    is_built_model = isinstance(layer, keras.Model) and layer.built
    # Unlike a call, compute_output_spec leaves no node in the graph.
    return layer.compute_output_spec(features) if is_built_model else layer(features)


def as_functional(layer: keras.layers.Layer, features: Any) -> keras.Model:
    """Returns a functional model of the layers of a body.

    Args:
        layer: The body: a functional or sequential model, or a layer.
        features: The features that it reads.

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
    for inner_layer in layer.layers if isinstance(layer, keras.Sequential) else [layer]:
        output = inner_layer(output)
    return keras.Model(inputs, output)
