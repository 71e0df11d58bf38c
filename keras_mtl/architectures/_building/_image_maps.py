"""Feature maps of images, and the messages that tasks send each other by them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.architectures._building._parts import (
    Part,
    apply_part,
    check_features,
    check_units,
    is_units,
)
from keras_mtl.layers import AttentiveMessages


def convolve(
    part: Part, maps: Tensor, name: str, activation: Any, *, shared: bool = False
) -> Tensor:
    """Maps images through a part whose units are the channels of 3x3 convolutions.

    Args:
        part: Channels, a recipe, or (where `shared`) a Keras layer or model.
        maps: Symbolic maps, `(batch, height, width, channels)`.
        name: Leads the names of the layers.
        activation: Activation of the convolutions.
        shared: Whether one instance is right here.
    """
    if not is_units(part):
        return apply_part(part, maps, name, activation, shared=shared)
    for i, channels in enumerate(check_units(part, name)):
        check_maps(maps, name)
        maps = convolution(channels, activation, f"{name}_{i}")(maps)
    return maps


def convolution(channels: int, activation: Any, name: str, strides: int = 1) -> keras.layers.Conv2D:
    """A 3x3 convolution that keeps the size of the map, or halves it."""
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


def read_initial(initial: Any) -> dict[str, Any]:
    """Initial predictions, by the name of what they are of.

    Raises:
        TypeError: If they are not in a dict.
    """
    if initial is not None and not isinstance(initial, Mapping):
        raise TypeError(
            "initial: expected a dict by the name of the task whose maps are read, such as "
            "{'depth': dataclasses.replace(depth, name='initial_depth')}; received "
            f"{initial!r}."
        )
    return dict(initial or {})


def distil(
    maps: Mapping[str, Tensor], tasks: Sequence[Task], suffix: str = ""
) -> dict[str, Tensor]:
    """Each task's maps with the messages of all others.

    Args:
        maps: Maps by the name of what they are of, among them those of the tasks.
        tasks: Who receives messages.
        suffix: Ends the names of the layers.
    """
    distilled = {}
    for task in tasks:
        others = [each for key, each in maps.items() if key != task.name]
        own = maps[task.name]
        layer = AttentiveMessages(name=f"{task.name}_messages{suffix}")
        distilled[task.name] = layer([own, *others]) if others else own
    return distilled
