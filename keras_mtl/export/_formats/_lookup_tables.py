"""The keys of the lookup tables that a SavedModel reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl.export._formats._served import ALL, Served


def table_keys(served: Served) -> tuple[list[str], list[int]]:
    """Returns the keys of all lookup tables together: words, and codes."""
    function = served.signatures[ALL]
    captured = function.captured_inputs
    holders = [tensor.op.name for tensor in function.inputs[-len(captured) :]] if captured else []
    graph = function.graph.as_graph_def()
    functions = {inner.signature.name: inner for inner in graph.library.function}
    words: list[str] = []
    codes: list[int] = []
    for holder, handle in zip(holders, captured, strict=True):
        dtypes = _dtypes_of(holder, graph.node, functions) if handle.dtype == tf.resource else None
        if dtypes is not None:
            # TensorFlow ends the whole process where these dtypes are not those of the table
            # (docs/keras_notes.md, pain 127).
            pair = tf.raw_ops.LookupTableExportV2(
                table_handle=handle, Tkeys=dtypes[0], Tvalues=dtypes[1]
            )
            keys = pair[0].numpy().tolist()
            if dtypes[0] == tf.string.as_datatype_enum:
                words.extend(key.decode("utf-8", "ignore") for key in keys)
            else:
                codes.extend(keys)
    return words, codes


def _dtypes_of(
    name: str, nodes: Sequence[Any], functions: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Returns the dtypes of keys and values with which a resource is looked up, if it is.

    Args:
        name: The resource, as nodes of the graph or function name it.
        nodes: The nodes of the graph or function.
        functions: All functions, by name.
    """
    for node in nodes:
        for place, source in enumerate(node.input):
            if source.partition(":")[0] != name:
                continue
            dtypes = None
            if node.op == "LookupTableFindV2":
                dtypes = node.attr["Tin"].type, node.attr["Tout"].type
            elif node.op == "Identity":
                dtypes = _dtypes_of(node.name, nodes, functions)
            elif node.attr["f"].func.name in functions:
                inner = functions[node.attr["f"].func.name]
                argument = inner.signature.input_arg[place].name
                dtypes = _dtypes_of(argument, inner.node_def, functions)
            if dtypes is not None:
                return dtypes
    return None
