"""Which variable of a layer is the counterpart of which variable of another layer."""

import re
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.transfer._variable_names import name_in_layer

Pairs = list[tuple[Any, Any]]


def pair_variables(
    layer: keras.layers.Layer, source: keras.layers.Layer
) -> tuple[Pairs, list[str]]:
    """Pairs the variables of two layers by name, and says where they are unlike.

    Layers inside of a layer often have automatic names, with numbers that count the layers of a
    process (`dense_4`). If the names differ, these numbers are replaced by the places among the
    names that begin the same: `dense_4` and `dense_5` are then the counterparts of `dense` and
    `dense_1`.

    Args:
        layer: The layer that shall get values.
        source: The layer that has them.

    Returns:
        Pairs of a variable and its counterpart, and sentences on what does not fit: names, shapes
        or kinds of numbers, and vocabularies. If there is a sentence, the pairs are not complete.
    """
    targets, sources = _by_name(layer), _by_name(source)
    pairs = _same_keys(targets, sources) or _same_keys(_renamed(targets), _renamed(sources))
    if pairs is None:
        return [], [f"it has the variables {list(targets)}, and the source {list(sources)}"]
    names = {id(variable): name for name, variable in targets.items()}
    unlike = [
        f"{names[id(target)]} is {_form(target)} here and {_form(value)} in the source"
        for target, value in pairs
        if _form(target) != _form(value)
    ]
    return pairs, [*unlike, *_unlike_vocabularies(layer, source)]


def _same_keys(targets: dict[str, Any], sources: dict[str, Any]) -> Pairs | None:
    """Returns the pairs of variables of one name, if both sides have the same names."""
    if set(targets) != set(sources):
        return None
    return [(variable, sources[name]) for name, variable in targets.items()]


def _by_name(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns the variables of a layer by path, without the name of the layer itself."""
    variables: dict[str, Any] = {}
    for variable in layer.weights:
        name = name_in_layer(variable, layer)
        # Two models inside of one may have layers of the same names.
        repeats = sum(1 for known in variables if known.partition("#")[0] == name)
        variables[f"{name}#{repeats}" if repeats else name] = variable
    return variables


def _renamed(variables: dict[str, Any]) -> dict[str, Any]:
    """Replaces the number at the end of a name by its place among the names that begin alike."""
    places: dict[tuple[str, str], list[str]] = {}
    renamed = {}
    for path, variable in variables.items():
        parts: list[str] = []
        for part in path.split("/"):
            stem = re.sub(r"_\d+$", "", part)
            siblings = places.setdefault(("/".join(parts), stem), [])
            if part not in siblings:
                siblings.append(part)
            parts.append(f"{stem}[{siblings.index(part)}]")
        renamed["/".join(parts)] = variable
    return renamed


def _form(variable: Any) -> str:
    """Returns the shape, and the kind of numbers if they are no floats."""
    is_float = keras.backend.is_float_dtype(variable.dtype)
    return f"{tuple(variable.shape)}" + ("" if is_float else f" of {variable.dtype}")


def _unlike_vocabularies(layer: keras.layers.Layer, source: keras.layers.Layer) -> Sequence[str]:
    """Compares what two lookups look up: rows of an embedding mean nothing without it."""
    if not all(hasattr(lookup, "get_vocabulary") for lookup in (layer, source)):
        return ()
    words, expected = ([*map(str, lookup.get_vocabulary())] for lookup in (layer, source))
    if words == expected:
        return ()
    different = [pair for pair in zip(words, expected, strict=False) if pair[0] != pair[1]]
    first = f", the first that differ being {different[0]}" if different else ""
    return (
        f"its vocabulary has {len(words)} entries here and {len(expected)} in the source{first}",
    )
