"""The functional graph of Keras: operations are called at nodes, which make tensors.

Keras shows `model.layers` and `model.operations`, but not which call of a layer made a tensor.
This tells shared variables from those of one task (docs/design.md, D3).
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeGuard

import keras

from keras_mtl._keras_internals._tensors import mask_of
from keras_mtl._types import Tensor


def is_symbolic(tensor: Any) -> bool:
    """Returns whether a value is a tensor of a functional graph.

    A `keras.KerasTensor` that was made by hand stands in no graph and has no history.
    """
    return isinstance(tensor, keras.KerasTensor) and hasattr(tensor, "_keras_history")


def is_functional(model: Any) -> TypeGuard[keras.Model]:
    """Returns whether a model is a functional one, which shows its graph.

    Keras exports no class to test against (docs/keras_notes.md, pain 92). `keras.Sequential` and
    subclassed models have no nodes of their own.
    """
    return isinstance(model, keras.Model) and hasattr(model, "_nodes")


def operation_of(tensor: Tensor) -> Any:
    """Returns the operation (most often a layer) that made a tensor."""
    return tensor._keras_history.operation


def node_of(tensor: Tensor) -> Any:
    """Returns the call that made a tensor.

    Its `operation`, `input_tensors`, `output_tensors`, `arguments` and `is_input` are public.
    """
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def position_of(tensor: Tensor) -> int:
    """Returns the place of a tensor among the outputs of the call that made it."""
    position: int = tensor._keras_history.tensor_index
    return position


def calls_of(operation: Any) -> list[Any]:
    """Returns the nodes at which an operation was called."""
    return list(operation._inbound_nodes)


def walk(
    tensors: Iterable[Tensor],
    visited: set[int] | None = None,
    *,
    enter: Callable[[Any], bool] = lambda node: True,
    reroute: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Iterator[tuple[Tensor, Any]]:
    """Walks the graph from some tensors towards the inputs, against the flow of data.

    `keras.utils.get_source_inputs` visits a node once per path to it, which is 2^n times before n
    residual blocks (docs/keras_notes.md, pain 64). Here each node is entered once.

    Args:
        tensors: Where to begin.
        visited: Identities of nodes that were entered before; new ones are added to it.
        enter: Whether to go on to the inputs of a node. A node that is not entered is yielded once
            for each tensor of it that the walk meets.
        reroute: Replaces a tensor before its node is looked up.

    Yields:
        Pairs of a tensor and the node that made it.
    """
    visited = set() if visited is None else visited
    pending = list(tensors)
    while pending:
        tensor = reroute(pending.pop())
        node = node_of(tensor)
        if id(node) in visited:
            continue
        if enter(node):
            visited.add(id(node))
            pending.extend(node.input_tensors)
        yield tensor, node


def ordered_nodes(tensors: Iterable[Tensor]) -> list[Any]:
    """Returns the nodes that some tensors are computed by, each behind all that it reads.

    Without recursion: a graph may be deeper than Python's stack.
    """
    nodes: list[Any] = []
    visited: set[int] = set()
    pending = [(node_of(tensor), False) for tensor in reversed(list(tensors))]
    while pending:
        node, is_done = pending.pop()
        if is_done:
            nodes.append(node)
        elif id(node) not in visited:
            visited.add(id(node))
            pending.append((node, True))
            pending.extend((node_of(tensor), False) for tensor in reversed(node.input_tensors))
    return nodes


def nodes_above(tensors: Iterable[Tensor], visited: set[int] | None = None) -> Iterator[Any]:
    """Yields the nodes that some tensors are computed by, each once, unless visited before."""
    for _, node in walk(tensors, visited):
        yield node


def operations_after(
    operation: Any, *, enter: Callable[[Any], bool] = lambda operation: True
) -> Iterator[Any]:
    """Walks the graph from an operation towards the outputs, with the flow of data.

    Keras keeps the calls that read a layer's outputs, but exports no way to them.

    Args:
        operation: Where to begin; it is not yielded itself.
        enter: Whether to go on to the operations that read an operation's outputs.

    Yields:
        Operations, each once.
    """
    visited = {id(operation)}
    pending = [operation]
    while pending:
        for node in pending.pop()._outbound_nodes:
            if id(node.operation) in visited:
                continue
            visited.add(id(node.operation))
            yield node.operation
            if enter(node.operation):
                pending.append(node.operation)


def has_readers(layer: Any) -> bool:
    """Returns whether a call in a graph reads the layer's outputs; none does in its first call."""
    return bool(layer._outbound_nodes)


def run_graph(
    function: Any, inputs: Any, call: Callable[[Any], Callable[..., Any]] | None = None
) -> Any:
    """Runs the operations of a functional model (or `keras.Function`) on other inputs.

    A call of the model would run them all as they are; no public method lets another function
    stand in for some of them.

    Args:
        function: The model.
        inputs: The values of its inputs.
        call: Maps an operation to the function that is called in its place.
    """
    if call is None:
        return function._run_through_graph(inputs)
    return function._run_through_graph(inputs, operation_fn=call)


def run_in_mode(function: Any, inputs: Any, training: bool | None) -> Any:
    """Runs a functional model or a `keras.Function`, with every layer in the mode `training`.

    A `keras.Function` runs each layer in the mode of its first call, so that dropout would drop
    nothing (docs/keras_notes.md, pain 87). Like a functional model, this passes the mode to every
    layer.
    """

    def in_mode(operation: Any) -> Any:
        if training is None or not isinstance(operation, keras.layers.Layer):
            return operation
        return lambda *args, **kwargs: operation(*args, **{**kwargs, "training": training})

    return run_graph(function, inputs, in_mode)


def replay(features: Tensor, output: Tensor, other_features: Tensor) -> Tensor:
    """Calls the layers that lead from `features` to `output` once more, on other features."""
    pairs = [(features, other_features)]
    mask = mask_of(features)
    # In a graph a mask is a tensor like others, and an input of the layers that read it: it has to
    # be replaced with its features (docs/keras_notes.md, pain 20).
    if mask is not None:
        pairs.append((mask, mask_of(other_features)))
    inputs, replaced = zip(*pairs, strict=True)
    return run_graph(keras.Function(list(inputs), output), list(replaced))


def copy_input(tensor: Tensor) -> Tensor:
    """Returns a new `keras.Input` like an input of a functional model.

    A KerasTensor's own name is not the name of its input layer once it has been copied, so the
    layer is asked (docs/keras_notes.md, pain 72). It also knows whether the input is sparse, ragged
    or optional.
    """
    layer = operation_of(tensor)
    return type(layer).from_config(layer.get_config()).output


def copy_operation(operation: Any) -> Any:
    """Returns a copy of an operation that is no layer, without its calls.

    Such an operation has no state. Called again itself, it would tie the graph of a copied network
    to that of the original: both would be found after it (docs/keras_notes.md, pain 134).
    """
    duplicate = copy.copy(operation)
    duplicate._inbound_nodes, duplicate._outbound_nodes = [], []
    return duplicate


def concatenates_along(node: Any) -> int | None:
    """Returns the axis, below 0, along which a call joins its inputs; `None` for other calls.

    `keras.ops` exports no class of its operations.
    """
    operation = node.operation
    axis = getattr(operation, "axis", None)
    if type(operation).__name__ != "Concatenate" or type(axis) is not int:
        return None
    return axis if axis < 0 else axis - len(node.output_tensors[0].shape)


def has_plain_graph(operation: Any) -> bool:
    """Returns whether an operation is a `keras.Model` of a graph, of no class of a user's own."""
    return is_functional(operation) and type(operation).__name__ == "Functional"
