"""Bodies in stages, each of which can be made anew for every task."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task
from keras_mtl._types import Activation, Recipe, Tensor
from keras_mtl.architectures._building._parts import (
    apply_part,
    check_features,
    check_separate_variables,
)

Stage: TypeAlias = int | Recipe | keras.layers.Layer
"""Units, a recipe that makes new layers at each call, or a Keras layer or model to be copied."""

Body: TypeAlias = Sequence[Stage] | Recipe | keras.layers.Layer
"""Stages in their order; one recipe or model alone is a body of one stage."""


def read_stages(body: Body) -> list[Stage]:
    """Returns the stages of a body, each of which can be applied to features.

    Raises:
        TypeError: If a stage is neither units, a recipe nor a Keras layer.
        ValueError: If there is no stage.
    """
    stages: list[Stage] = [*body] if isinstance(body, tuple | list) else [body]
    for stage in stages:
        is_units = type(stage) is int and stage > 0
        if not is_units and (not callable(stage) or isinstance(stage, type)):
            raise TypeError(
                "body: expected stages, each positive units, a recipe features -> features or a "
                f"Keras layer or model, such as (64, 32); received {stage!r}."
            )
    if not stages:
        raise ValueError("body is empty: give at least one stage, such as (64,).")
    return stages


def new_stage(stage: Stage, features: Tensor, name: str, activation: Activation) -> Tensor:
    """Applies new layers to features, or a copy of a layer that begins with its weights."""
    if isinstance(stage, keras.layers.Layer):
        return call_copy(stage, features, name)
    if isinstance(stage, int):
        check_features(features, name)
        return keras.layers.Dense(stage, activation=activation, name=name)(features)
    return apply_part(stage, features, name, activation)


def stage_per_task(
    stage: Stage,
    features: Mapping[str, Tensor],
    name_pattern: str,
    tasks: Sequence[Task],
    activation: Activation,
) -> dict[str, Tensor]:
    """Applies to each task's features a stage with layers of its own.

    Args:
        stage: The stage.
        features: Features by the name of the task.
        name_pattern: The names of the layers; `{}` in it stands for the name of the task.
        tasks: The tasks.
        activation: Activation of layers made from units.

    Returns:
        Features by the name of the task.
    """
    outputs = {
        task.name: new_stage(stage, features[task.name], name_pattern.format(task.name), activation)
        for task in tasks
    }
    check_separate_variables(outputs, features.values())
    return outputs


def call_copy(layer: keras.layers.Layer, features: Tensor, name: str) -> Tensor:
    """Calls a copy of a layer or model, which begins with the same weights.

    Args:
        layer: The layer or model.
        features: The features that the copy reads.
        name: Name of the copy; names of layers inside of it begin with it.

    Raises:
        TypeError: If the layer does not return one tensor.
    """
    copy = _copy(layer, name)
    output = copy(features)
    if not isinstance(output, keras.KerasTensor):
        raise TypeError(
            f"{name}: a stage returns one tensor; {layer.name!r} returns {output!r}. Pick one "
            "output: keras.Model(model.input, model.output[...])."
        )
    if layer.built:
        copy.set_weights(layer.get_weights())
    return output


def _copy(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Returns a new layer or model of the same configuration, with new names throughout."""

    def renamed(inner: keras.layers.Layer) -> keras.layers.Layer:
        config = inner.get_config()
        return type(inner).from_config({**config, "name": f"{name}_{inner.name}"})

    if isinstance(layer, keras.Sequential):
        layers = [_copy(inner, f"{name}_{inner.name}") for inner in layer.layers]
        return keras.Sequential(layers, name=name)
    if is_functional(layer):
        copy = keras.models.clone_model(layer, clone_function=renamed)
        return keras.Model(copy.input, copy.output, name=name)
    return type(layer).from_config({**layer.get_config(), "name": name})
