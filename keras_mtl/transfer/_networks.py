"""The layers of a network by name, those of models inside of it too."""

import fnmatch
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl.training import BalancedModel


def read_network(network: Any) -> keras.Model:
    """Returns a functional network, which may come in the `BalancedModel` that trains it.

    Raises:
        TypeError: If it does not show its graph.
    """
    if isinstance(network, BalancedModel):
        network = network.network
    if not is_functional(network):
        raise TypeError(
            "network must be a functional keras.Model, made of keras.Input tensors, or the "
            f"BalancedModel of one; received {network!r}."
        )
    return network


def layers_by_path(network: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns all layers of a model; `outer/inner` is one of a model that stands inside of it."""
    layers: dict[str, keras.layers.Layer] = {}
    pending = [("", network)]
    while pending:
        prefix, model = pending.pop(0)
        for layer in model.layers:
            layers[prefix + layer.name] = layer
            if isinstance(layer, keras.Model):
                pending.append((f"{prefix}{layer.name}/", layer))
    return layers


def read_patterns(patterns: str | Sequence[str], argument: str) -> tuple[str, ...]:
    """Returns patterns of names as a tuple.

    Raises:
        TypeError: If they are not texts.
        ValueError: If there is none.
    """
    listed = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    wrong = [pattern for pattern in listed if not isinstance(pattern, str)]
    if wrong:
        raise TypeError(
            f"{argument} must be a pattern of layer names such as 'shared_*', or several; "
            f"received {wrong[0]!r}."
        )
    if not listed:
        raise ValueError(f"{argument} must have at least one pattern of names; received none.")
    return listed


def match_layers(
    network: keras.Model, patterns: Sequence[str], argument: str
) -> dict[str, keras.layers.Layer]:
    """Returns the layers whose name, or path, matches a pattern.

    Raises:
        ValueError: If a pattern matches no layer.
    """
    for pattern in patterns:
        if not find_layers(network, [pattern]):
            raise ValueError(
                f"{argument}={pattern!r} matches no layer of the network {network.name!r}; its "
                f"layers are {list(layers_by_path(network))}."
            )
    return find_layers(network, patterns)


def find_layers(network: keras.Model, patterns: Sequence[str]) -> dict[str, keras.layers.Layer]:
    """Returns the layers whose name, or path, matches a pattern; there may be none.

    Of a model that matches, the layers inside are not listed again.
    """
    layers = layers_by_path(network)
    matched = {path for path in layers if any(_matches(path, pattern) for pattern in patterns)}
    return {path: layers[path] for path in layers if path in matched - _inside(matched)}


def _inside(paths: set[str]) -> set[str]:
    """Returns the paths that begin with another one."""
    return {path for path in paths if _parents(path) & paths}


def _matches(path: str, pattern: str) -> bool:
    names = (path, path.rpartition("/")[2])
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _parents(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:i]) for i in range(1, len(parts))}
