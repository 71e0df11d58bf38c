"""The parts of a network, given as units or as recipes, and the checks of their features."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._keras_internals import nodes_above
from keras_mtl._types import Activation, Recipe, Tensor

Part: TypeAlias = Sequence[int] | Recipe
"""Units, or a recipe `features -> features` that makes new layers at each call."""


def apply_part(
    part: Part, features: Tensor, name: str, activation: Activation, *, shared: bool = False
) -> Tensor:
    """Applies a part to features.

    Args:
        part: Units, a recipe, or (if `shared`) a Keras layer or model.
        features: Symbolic features, `(batch, ..., in)`.
        name: First part of the layers' names: `<task>_tower` makes `<task>_tower_0` and so on.
        activation: Activation of dense layers made from units.
        shared: Whether a layer or model may stand for the part, because the network has only one
            such part. Defaults to `False`.

    Returns:
        Symbolic features, `(batch, ..., out)`.

    Raises:
        TypeError: If `part` is none of these, or a recipe returns anything but one tensor.
        ValueError: If units cannot be applied to the features.
    """
    if isinstance(part, keras.layers.Layer) and not shared:
        raise TypeError(
            f"{name}: received the live layer {part.name!r}, whose weights all tasks or experts "
            "would share. Pass a recipe that makes new layers at each call: "
            "lambda features: keras.layers.Dense(32)(features)."
        )
    # A class such as keras.layers.Dense is callable too, but no recipe.
    if callable(part) and not isinstance(part, type):
        output = part(features)
        if not isinstance(output, keras.KerasTensor):
            raise TypeError(f"{name}: a recipe returns one symbolic tensor; received {output!r}.")
        return output
    units = check_units(part, name)
    if units:
        check_features(features, name)
    for i, size in enumerate(units):
        features = keras.layers.Dense(size, activation=activation, name=f"{name}_{i}")(features)
    return features


def is_units(part: Part) -> bool:
    """Returns whether a part is given as units."""
    return isinstance(part, tuple | list)


def check_units(part: Any, name: str) -> Sequence[int]:
    """Checks a part that is given as units, and returns the sizes of its layers.

    Raises:
        TypeError: If `part` is no sequence of positive integers.
    """
    # Not isinstance: True is an int.
    if is_units(part) and all(type(size) is int and size > 0 for size in part):
        return list(part)
    raise TypeError(
        f"{name}: expected positive units such as (64, 32), or a recipe features -> features; "
        f"received {part!r}."
    )


def check_features(features: Tensor, name: str) -> None:
    """Checks that dense layers can read the features.

    Raises:
        ValueError: If they are no floats, or the size of their last axis is unknown.
    """
    if not keras.backend.is_float_dtype(features.dtype) or features.shape[-1] is None:
        raise ValueError(
            f"{name}: dense layers take floats whose last axis is known; received {features.dtype} "
            f"of shape {features.shape}. Preprocess the inputs first, for example with "
            "keras.utils.FeatureSpace or an Embedding, and pass the output of that."
        )


def check_separate_variables(
    outputs: Mapping[str, Tensor], features: Iterable[Tensor] = ()
) -> None:
    """Checks that no two outputs were computed with the same trainable variables.

    It catches a recipe that reuses a live layer.

    Args:
        outputs: The output of each call of a recipe, by the name of the call.
        features: The inputs of these calls; layers that computed these may be shared.

    Raises:
        ValueError: If two of the calls used the same variable.
    """
    visited: set[int] = set()
    # Marks the layers that computed the features as visited. Without features, the layers that
    # all outputs have in common are visited with the first output and skipped from then on.
    for _ in nodes_above(features, visited):
        pass
    owners: dict[int, str] = {}
    for name, output in outputs.items():
        for node in nodes_above([output], visited):
            for variable in getattr(node.operation, "trainable_variables", ()):
                owner = owners.setdefault(id(variable), name)
                if owner != name:
                    raise ValueError(
                        f"{owner!r} and {name!r} share the layer {node.operation.name!r}: a "
                        "recipe must make new layers at each call, not reuse a live one."
                    )
