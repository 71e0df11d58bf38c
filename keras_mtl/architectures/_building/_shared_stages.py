"""Stages of a body of which one instance serves all tasks."""

from collections.abc import Callable
from typing import Any

import keras

from keras_mtl._keras_internals import replay
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building._parts import apply_part, check_features
from keras_mtl.architectures._building._stages import Stage


def stage_as_layer(stage: Stage, features: Tensor, name: str, activation: Activation) -> Any:
    """Returns one layer for a stage, which may be called on the features of each task.

    Args:
        stage: Units, a recipe (called once; its layers then serve all tasks), or a Keras layer or
            model, which becomes part of the network as it is.
        features: Features of the kind that the stage reads.
        name: Name of the layer that is made from units or a recipe.
        activation: Activation of a layer made from units.

    Returns:
        A Keras layer or model.
    """
    if isinstance(stage, keras.layers.Layer):
        return stage
    if isinstance(stage, int):
        check_features(features, name)
        return keras.layers.Dense(stage, activation=activation, name=name)
    inputs = keras.Input(features.shape[1:], dtype=features.dtype, name=f"{name}_features")
    return keras.Model(inputs, apply_part(stage, inputs, name, activation), name=name)


def reusable_stage(
    stage: Stage, features: Tensor, name: str, activation: Activation
) -> Callable[[Tensor], Tensor]:
    """Returns a function that applies a stage, with the same layers at each call.

    The layers of a recipe stay layers of the network, where they read masks; inside a model of
    their own, Keras would warn that it drops the mask.

    Args:
        stage: The stage, as in `stage_as_layer`.
        features: The features that the first call reads.
        name: Name of the layer, as in `stage_as_layer`.
        activation: Activation of a layer made from units.

    Returns:
        A function from features to features.
    """
    if isinstance(stage, int | keras.layers.Layer):
        layer: Callable[[Tensor], Tensor] = stage_as_layer(stage, features, name, activation)
        return layer
    output = apply_part(stage, features, name, activation)

    def apply(other_features: Tensor) -> Tensor:
        if other_features is features:
            return output
        # Calls the layers between `features` and `output` again.
        return replay(features, output, other_features)

    return apply
