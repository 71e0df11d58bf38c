"""Feature maps of images, and the messages that tasks send each other by them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_units,
    is_units,
)
from keras_mtl.layers import AttentiveMessages


def convolve(
    part: Part, maps: Tensor, name: str, activation: Activation, *, shared: bool = False
) -> Tensor:
    """Applies a part, whose units are the channels of 3x3 convolutions, to maps of images.

    Args:
        part: Channels, a recipe, or (if `shared`) a Keras layer or model.
        maps: Symbolic maps, `(batch, height, width, channels)`.
        name: First part of the layers' names.
        activation: Activation of the convolutions.
        shared: Whether a layer or model may stand for the part, because the network has only one
            such part. Defaults to `False`.

    Returns:
        Symbolic maps.
    """
    if not is_units(part):
        return apply_part(part, maps, name, activation, shared=shared)
    for i, channels in enumerate(check_units(part, name)):
        check_maps(maps, name)
        maps = convolution_layer(channels, activation, f"{name}_{i}")(maps)
    return maps


def convolution_layer(
    channels: int, activation: Activation, name: str, strides: int = 1
) -> keras.layers.Conv2D:
    """Makes a 3x3 convolution that keeps the size of the map, or halves it with strides of 2."""
    return keras.layers.Conv2D(
        channels, 3, strides, padding="same", activation=activation, name=name
    )


def check_maps(maps: Tensor, name: str) -> None:
    """Checks that features are maps of images.

    Raises:
        ValueError: If they are not.
    """
    if len(maps.shape) != 4:
        raise ValueError(
            f"{name}: neighboring pixels are convolved, so features must be maps (batch, height, "
            f"width, channels); received the shape {maps.shape}. Rows and sequences have no "
            "pixels: use another architecture, such as mmoe."
        )
    check_features(maps, name)


def read_initial_predictions(initial: Any) -> dict[str, Any]:
    """Returns the tasks of initial predictions, by the name of the maps that they are made of.

    Args:
        initial: Such a dict, or `None` for no initial prediction.

    Raises:
        TypeError: If it is no dict.
    """
    if initial is not None and not isinstance(initial, Mapping):
        raise TypeError(
            "initial: expected a dict by the name of the task whose maps are read, such as "
            "{'depth': dataclasses.replace(depth, name='initial_depth')}; received "
            f"{initial!r}."
        )
    return dict(initial or {})


def add_messages(
    maps: Mapping[str, Tensor], tasks: Sequence[Task], suffix: str = ""
) -> dict[str, Tensor]:
    """Adds to each task's maps the messages of all other maps.

    Args:
        maps: Maps `(batch, height, width, channels)` by name, among them those of the tasks.
        tasks: The tasks that receive messages.
        suffix: Last part of the layers' names.

    Returns:
        Maps by the name of the task.
    """
    received = {}
    for task in tasks:
        senders = [sender for key, sender in maps.items() if key != task.name]
        receiver = maps[task.name]
        layer = AttentiveMessages(name=f"{task.name}_messages{suffix}")
        received[task.name] = layer([receiver, *senders]) if senders else receiver
    return received
