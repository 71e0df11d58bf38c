"""Conversion of a SavedModel to ONNX, in memory."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from keras_mtl.export._formats._extras import import_extra
from keras_mtl.export._formats._graph import nodes_by_name, origin
from keras_mtl.export._formats._onnx_operations import Table, make_operations
from keras_mtl.export._formats._served import Served

OPSET = 18
"""The version of the operators of the ONNX standard; ONNX Runtime 1.14 and newer run it."""


@dataclasses.dataclass(frozen=True)
class Frozen:
    """Holds the graph of all tasks with constants for variables.

    Attributes:
        graph: A `GraphDef`, whose lookup tables are `HashTableV2` nodes.
        inputs: The names of the inputs, by tensor.
        outputs: The names of the outputs, by tensor.
        tables: Keys and values of each table, by the shared name of its node.
    """

    graph: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    tables: Mapping[bytes, Table]


def freeze(served: Served) -> Frozen:
    """Returns the graph of all tasks of a SavedModel, with constants for variables."""
    loader = import_extra("tf2onnx.tf_loader", "onnx")
    # tf2onnx takes the captured tables out of the function, which then cannot be called.
    function = tf.function(served.call, autograph=False).get_concrete_function(served.specs)
    captured = function.captured_inputs
    inputs = [tensor.name for tensor in function.inputs[: len(function.inputs) - len(captured)]]
    outputs = [tensor.name for tensor in function.outputs]
    holders = [tensor.op.name for tensor in function.inputs[len(inputs) :]]
    with _quiet():
        graph, tables = loader.from_trackable(served.loaded, function, inputs, outputs, False)
    return Frozen(
        graph,
        # TensorFlow flattens dicts in the order of their keys.
        dict(zip(inputs, sorted(served.specs), strict=True)),
        dict(zip(outputs, sorted(function.structured_outputs), strict=True)),
        {**tables, **_name_tables(graph, dict(zip(holders, captured, strict=True)))},
    )


def _name_tables(graph: Any, handles: Mapping[str, Any]) -> dict[bytes, Table]:
    """Makes nodes of tables of the placeholders that stand for them; returns what tables hold.

    tf2onnx 1.17 finds only tables that no inner function reads: it looks for classes that have
    moved in TensorFlow 2.21 (docs/keras_notes.md, pain 125).
    """
    nodes, tables = nodes_by_name(graph), {}
    for lookup in [node for node in graph.node if node.op == "LookupTableFindV2"]:
        table = origin(nodes, lookup.input[0])
        if table.op == "Placeholder":
            key, value = lookup.attr["Tin"].type, lookup.attr["Tout"].type
            name = table.name.encode()
            for attribute in list(table.attr):
                del table.attr[attribute]
            table.op = "HashTableV2"
            table.attr["shared_name"].s = name
            table.attr["key_dtype"].type, table.attr["value_dtype"].type = key, value
            tables[name] = _read_table(handles[table.name], key, value)
    return tables


def _read_table(handle: Any, key_dtype: Any, value_dtype: Any) -> Table:
    pair = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=key_dtype, Tvalues=value_dtype)
    return pair[0].numpy(), pair[1].numpy()


def convert(frozen: Frozen) -> Any:
    """Returns an ONNX `ModelProto` of a frozen graph, with the names of the SavedModel.

    Raises:
        Exception: Of any kind, from tf2onnx, if it fails at an operation.
    """
    tfonnx = import_extra("tf2onnx.tfonnx", "onnx")
    optimizer = import_extra("tf2onnx.optimizer", "onnx")
    with _quiet(), tf.Graph().as_default() as imported:
        tf.import_graph_def(frozen.graph, name="")
        converted = tfonnx.process_tf_graph(
            imported,
            opset=OPSET,
            input_names=list(frozen.inputs),
            output_names=list(frozen.outputs),
            tensors_to_rename={**frozen.inputs, **frozen.outputs},
            initialized_tables=dict(frozen.tables),
            custom_op_handlers=make_operations(frozen.tables),
            shape_override=_shapes_of_lookups(imported),
        )
        model = optimizer.optimize_graph(converted, True).make_model("keras_mtl")
    _name_axes(model)
    return model


def _shapes_of_lookups(graph: Any) -> dict[str, list[int | None]]:
    """Returns the shapes of what is looked up, by tensor: TensorFlow does not infer them."""
    return {
        node.outputs[0].name: node.inputs[1].shape.as_list()
        for node in graph.get_operations()
        if node.type == "LookupTableFindV2" and node.inputs[1].shape.rank is not None
    }


def _name_axes(model: Any) -> None:
    """Sets names of the axes of unknown length: `batch`, and others after their tensor."""
    for tensor in [*model.graph.input, *model.graph.output]:
        for axis, length in enumerate(tensor.type.tensor_type.shape.dim):
            if length.dim_param:
                length.dim_param = f"{tensor.name}_{axis}" if axis else "batch"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what tf2onnx logs, and TensorFlow on its behalf: whatever fails is raised."""
    loggers = [logging.getLogger("tf2onnx"), tf.get_logger()]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
