"""How far the layers of a network stand from its heads."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import has_plain_graph, ordered_nodes
from keras_mtl.transfer._variable_names import name_in_layer


@dataclasses.dataclass(frozen=True)
class Level:
    """Says where a variable stands in a network.

    Attributes:
        variable: A trainable variable.
        depth: The number of layers with trainable variables on the longest way from the layer of
            the variable to an output.
        name: The path of the variable, beginning with the layer that the graph calls.
    """

    variable: Any
    depth: int
    name: str


def levels_of_variables(network: keras.Model) -> list[Level]:
    """Returns where each trainable variable of a functional network stands.

    The level of a layer is the largest number of layers with trainable variables on a way from it
    to an output, itself not counted: 0 for a head, 1 for a layer that only heads read. A layer
    therefore stands above each layer that it reads. Layers side by side (experts, branches) may
    have one level. A model inside of the network counts with the layers of its own graph. A layer
    that is called several times has the level of its lowest call.

    Args:
        network: A functional model.

    Returns:
        The levels, in the order of the network's variables.
    """
    levels: dict[int, Level] = {}
    _descend(keras.tree.flatten(network.output), {}, levels)
    return [levels[id(variable)] for variable in network.trainable_variables]


def _descend(
    outputs: Sequence[Any], below: dict[int, int], levels: dict[int, Level]
) -> dict[int, int]:
    """Notes the levels of all variables above some tensors of a graph.

    Args:
        outputs: The tensors.
        below: How many trained layers follow each of them, by the tensor's identity; 0 if missing.
        levels: Gets the level of each variable, by its identity.

    Returns:
        How many trained layers follow each tensor of the graph.
    """
    after: dict[int, int] = {id(tensor): below.get(id(tensor), 0) for tensor in outputs}
    for node in reversed(ordered_nodes(outputs)):
        operation = node.operation
        if has_plain_graph(operation) or type(operation) is keras.Sequential:
            _enter(node, after, levels)
            continue
        level = max((after.get(id(tensor), 0) for tensor in node.output_tensors), default=0)
        variables = getattr(operation, "trainable_variables", ())
        for variable in variables:
            known = levels.get(id(variable))
            if known is None or known.depth < level:
                name = f"{operation.name}/{name_in_layer(variable, operation)}"
                levels[id(variable)] = Level(variable, level, name)
        for tensor in node.input_tensors:
            after[id(tensor)] = max(after.get(id(tensor), 0), level + bool(variables))
    return after


def _enter(node: Any, after: dict[int, int], levels: dict[int, Level]) -> None:
    """Notes the levels inside of a model, and of what it reads."""
    model = node.operation
    inner = model.outputs
    outer = {
        id(tensor): after.get(id(result), 0)
        for tensor, result in zip(inner, node.output_tensors, strict=True)
    }
    inside = _descend(inner, outer, levels)
    # The tensors that a call reads stand in the order of the model's inputs.
    for tensor, entrance in zip(node.input_tensors, model.inputs, strict=False):
        after[id(tensor)] = max(after.get(id(tensor), 0), inside.get(id(entrance), 0))
