"""Layers of a network that are named by patterns."""

import fnmatch

import keras

from keras_mtl._keras_internals import nested_layers


def trained_by_name(network: keras.Model, layers: str) -> list[keras.Variable]:
    """Returns the trainable variables of some layers of a network, each once.

    Args:
        network: A functional network.
        layers: Patterns of layer names with `|` between them, such as `"sound_*|ear"`.

    Raises:
        ValueError: If a pattern matches no layer that is trained.
    """
    trained = [
        layer for layer in nested_layers(network, include_self=False) if layer.trainable_variables
    ]
    chosen: set[int] = set()
    for pattern in layers.split("|"):
        matched = [layer for layer in trained if fnmatch.fnmatchcase(layer.name, pattern.strip())]
        if not matched:
            raise ValueError(
                f"no layer that is trained matches {pattern!r}; the network has "
                f"{sorted({layer.name for layer in trained})}."
            )
        chosen |= {id(v) for layer in matched for v in layer.trainable_variables}
    return [v for v in network.trainable_variables if id(v) in chosen]
