"""The variables that an adaptation changes."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import node_of
from keras_mtl._tasks import Task
from keras_mtl.training._frontier import named_outputs
from keras_mtl.training._named_layers import trained_by_name


def inner_variables(
    network: keras.Model, tasks: Sequence[Task], layers: str | None
) -> list[keras.Variable]:
    """Returns the trainable variables of the layers that an adaptation changes.

    Args:
        network: A functional network.
        tasks: Its tasks.
        layers: Patterns of layer names with `|` between them, `"heads"` for the last layer of each
            task, or `None` for all layers.

    Raises:
        ValueError: If a pattern matches no layer that is trained.
    """
    if layers is None:
        return list(network.trainable_variables)
    if layers == "heads":
        return _of_heads(network, tasks)
    return trained_by_name(network, layers)


def _of_heads(network: keras.Model, tasks: Sequence[Task]) -> list[keras.Variable]:
    heads: dict[int, Any] = {}
    outputs = named_outputs(network)
    for task in tasks:
        node = node_of(outputs[task.name])
        while not getattr(node.operation, "trainable_variables", ()):
            if len(node.input_tensors) != 1:
                raise ValueError(
                    f"task {task.name!r}: its output comes from several layers, so that no last "
                    "one is known; name the layers that adapt in inner_layers=."
                )
            node = node_of(node.input_tensors[0])
        heads |= {id(v): v for v in node.operation.trainable_variables}
    return list(heads.values())
