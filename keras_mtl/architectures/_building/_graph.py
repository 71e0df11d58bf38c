"""Walks the functional graph that leads to a tensor."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_mtl._types import Tensor


def new_nodes(tensors: Iterable[Tensor], visited: set[int]) -> Iterator[Any]:
    """The nodes of the functional graph above some tensors, each once, new ones only."""
    # keras.utils.get_source_inputs visits a node once a path: 2^n visits for n residual blocks.
    pending = list(tensors)
    while pending:
        operation, index, _ = pending.pop()._keras_history
        node = operation._inbound_nodes[index]
        if id(node) not in visited:
            visited.add(id(node))
            pending.extend(node.input_tensors)
            yield node


def roots_of(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The inputs, made by `keras.Input`, from which some tensors are computed."""
    nodes = [node for node in new_nodes(tensors, set()) if node.is_input]
    return [node.output_tensors[0] for node in reversed(nodes)]


def replay(features: Tensor, output: Tensor, others: Tensor) -> Tensor:
    """Calls the layers that lead from `features` to `output` once more, on `others`."""
    pairs = [(features, others)]
    mask = getattr(features, "_keras_mask", None)
    if mask is not None:  # in the graph a mask is an input of the layers that read it
        pairs.append((mask, getattr(others, "_keras_mask", None)))
    inputs, replaced = zip(*pairs, strict=True)
    return keras.Function(list(inputs), output)._run_through_graph(list(replaced))
