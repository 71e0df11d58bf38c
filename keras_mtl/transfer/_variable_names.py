"""Names of variables that stay the same when a network is saved, loaded or given another head."""

from typing import Any

import keras

from keras_mtl.transfer._networks import layers_by_path


def name_in_layer(variable: Any, layer: keras.layers.Layer) -> str:
    """Returns the path of a variable behind the name of its layer.

    The names of models around the layer stand before it in some paths and not in others: those of
    `keras.Sequential` are gone after a network was saved and loaded.
    """
    _, separator, rest = f"/{variable.path}".rpartition(f"/{layer.name}/")
    return rest if separator else variable.path


def variables_by_name(network: keras.Model) -> dict[str, Any]:
    """Returns the variables of a network, each once, named by the path of its layer.

    Variables of a layer that stands in several places have the name of the first.
    """
    variables: dict[str, Any] = {}
    known: set[int] = set()
    for path, layer in layers_by_path(network).items():
        if isinstance(layer, keras.Model):  # its layers are listed, too
            continue
        for variable in layer.weights:
            if id(variable) not in known:
                known.add(id(variable))
                variables[f"{path}/{name_in_layer(variable, layer)}"] = variable
    return variables
