"""A copy of a SavedModel that computes in float32 where the original computes in float64."""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mtl.export._formats._served import ALL, Served, operations

_DOUBLE, _SINGLE = tf.float64.as_datatype_enum, tf.float32.as_datatype_enum
_LARGEST = float(np.finfo("float32").max)


def computes_in_double(served: Served) -> bool:
    """Returns whether some operation has float64 numbers, as those of `data.tabular_encoder`."""
    return any(
        value.type == _DOUBLE or _DOUBLE in value.list.type
        for node in operations(served)
        for value in node.attr.values()
    )


def write_single_precision(served: Served, folder: pathlib.Path) -> pathlib.Path:
    """Writes a copy of a SavedModel in which all float64 numbers are float32.

    LiteRT has no arithmetic of float64, with which an encoder standardizes columns
    (docs/keras_notes.md, pain 132). How far the
    answers move is for the proof to say: not at all in the sixth digit, unless a column holds large
    numbers that lie close together.

    Args:
        served: The SavedModel.
        folder: An empty folder.

    Returns:
        The folder of the copy.

    Raises:
        ValueError: If an input, an output or a variable is float64.
    """
    doubles = [name for name, spec in served.specs.items() if spec.dtype == tf.float64]
    variables = served.signatures[ALL].graph.variables
    doubles += [variable.name for variable in variables if variable.dtype == tf.float64]
    if doubles:
        raise ValueError(
            f"LiteRT has no arithmetic of float64, and {sorted(doubles)} need it: the column holds "
            "numbers that float32 would blur. Nothing was written. Give the network the distance "
            "from a common number in place of the number itself, or use export.onnx(folder)."
        )
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((served.folder / "saved_model.pb").read_bytes())
    for graph in model.meta_graphs:
        for node in _nodes(graph.graph_def):
            for value in node.attr.values():
                _narrow(value)
        for function in graph.graph_def.library.function:
            for argument in [*function.signature.input_arg, *function.signature.output_arg]:
                if argument.type == _DOUBLE:
                    argument.type = _SINGLE
    copy = folder / "1"
    copy.mkdir()
    (copy / "saved_model.pb").write_bytes(model.SerializeToString())
    for name in ("variables", "assets"):
        if (served.folder / name).is_dir():
            shutil.copytree(served.folder / name, copy / name)
    return copy


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _narrow(value: Any) -> None:
    """Makes float32 of float64 in an attribute of a node."""
    if value.type == _DOUBLE:
        value.type = _SINGLE
    for place, dtype in enumerate(value.list.type):
        if dtype == _DOUBLE:
            value.list.type[place] = _SINGLE
    if value.tensor.dtype == _DOUBLE:
        numbers = tf.make_ndarray(value.tensor)
        clipped = np.where(np.isinf(numbers), numbers, np.clip(numbers, -_LARGEST, _LARGEST))
        value.tensor.CopyFrom(tf.make_tensor_proto(clipped.astype("float32")))
