"""The operations of a SavedModel, function by function, without loading it."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from keras_mtl.export._beside._refused import RefusedVersion

MAIN = ""
"""Stands for the main graph, beside the names of functions."""

_INITIALIZATION = "__saved_model_init_op"


@dataclasses.dataclass(frozen=True)
class SavedGraph:
    """Holds the operations of the graphs of a SavedModel.

    Args:
        ops: The types of operations by function, and of the main graph.
        calls: The functions that a function names, in any attribute of an operation.
        served: The functions that a request can run: those that signatures reach.
        run: The functions that a server can run: these, and those of the initialization, of the
            restoring of variables, and of the objects that Python gets.
    """

    ops: dict[str, set[str]]
    calls: dict[str, set[str]]
    served: set[str]
    run: set[str]

    @property
    def undefined(self) -> set[str]:
        """Functions that are called and not defined."""
        return {name for names in self.calls.values() for name in names} - self.ops.keys()


def read_saved_graph(folder: str | os.PathLike[str]) -> SavedGraph:
    """Reads saved_model.pb as a message; nothing of it is run or loaded.

    Raises:
        RefusedVersion: If the file is missing, is no SavedModel, or lies beside another form of
            it, of which a loader might take that one.
    """
    folder = pathlib.Path(folder)
    names = sorted(path.name for path in folder.glob("saved_model*"))
    if names != ["saved_model.pb"]:
        raise RefusedVersion(
            f"{folder} must hold one saved_model.pb, and no other form of it; received {names}."
        )
    try:
        message = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise RefusedVersion(f"{folder / 'saved_model.pb'} is no SavedModel: {error}.") from error
    ops: dict[str, set[str]] = {MAIN: set()}
    calls: dict[str, set[str]] = {MAIN: set()}
    served: set[str] = set()
    run: set[str] = set()
    for meta in message.meta_graphs:
        library = meta.graph_def.library.function
        bodies = {MAIN: meta.graph_def.node, **{f.signature.name: f.node_def for f in library}}
        for name, nodes in bodies.items():
            types = {node.op for node in nodes}
            named = {function for node in nodes for function in _named_functions(node)}
            # A node may also have a function as its type.
            ops[name] = ops.get(name, set()) | (types - bodies.keys())
            calls[name] = calls.get(name, set()) | named | (types & bodies.keys())
        served |= _called_for(meta, _asked_by_requests(meta)) | _signature_functions(meta)
        run |= _called_for(meta, _asked_by_servers(meta))
        run |= set(meta.object_graph_def.concrete_functions)
    if not message.meta_graphs:
        raise RefusedVersion(f"{folder / 'saved_model.pb'} holds no graph.")
    return SavedGraph(ops, calls, _close(served, calls), _close(served | run, calls))


def _named_functions(node: Any) -> Iterator[str]:
    """Yields the functions that the attributes of an operation name."""
    for attribute in node.attr.values():
        if attribute.HasField("func"):
            yield attribute.func.name
        for function in attribute.list.func:
            yield function.name


def _asked_by_requests(meta: Any) -> set[str]:
    """Returns the tensors of the main graph that signatures answer."""
    return {
        tensor.name
        for name, signature in meta.signature_def.items()
        for tensor in signature.outputs.values()
        # An initialization takes nothing, so that no request can leave something in it.
        if name != _INITIALIZATION or signature.inputs
    }


def _asked_by_servers(meta: Any) -> set[str]:
    """Returns the tensors and nodes that a server asks for while it loads.

    The call that saves variables is not among them: no server runs it.
    """
    asked = {tensor.name for tensor in meta.signature_def[_INITIALIZATION].outputs.values()}
    asked.add(meta.saver_def.restore_op_name)
    return asked | {name for kept in meta.collection_def.values() for name in kept.node_list.value}


def _signature_functions(meta: Any) -> set[str]:
    """Returns the functions of the signatures that `tf.saved_model.load` gives to Python."""
    nodes = meta.object_graph_def.nodes
    return {
        nodes[child.node_id].bare_concrete_function.concrete_function_name
        for node in nodes
        if node.user_object.identifier == "signature_map"
        for child in node.children
        if nodes[child.node_id].HasField("bare_concrete_function")
    }


def _called_for(meta: Any, asked: Iterable[str]) -> set[str]:
    """Returns the functions that the main graph calls for some tensors or nodes."""
    nodes = {node.name: node for node in meta.graph_def.node}
    pending, visited = [_node_name(name) for name in asked], set()
    functions: set[str] = set()
    while pending:
        name = pending.pop()
        if name in visited or name not in nodes:
            continue
        visited.add(name)
        functions |= {nodes[name].op, *_named_functions(nodes[name])}
        pending += [_node_name(tensor) for tensor in nodes[name].input]
    return functions & {f.signature.name for f in meta.graph_def.library.function}


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _close(names: Iterable[str], calls: dict[str, set[str]]) -> set[str]:
    """Returns functions, with all that they call at any depth."""
    closed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in closed:
            closed.add(name)
            pending += calls.get(name, ())
    return closed
