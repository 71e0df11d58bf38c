"""Conversion of a SavedModel to LiteRT, in memory."""

import pathlib
import re
import tempfile
from typing import Any

import tensorflow as tf

from keras_mtl.export._formats._served import Served, has_operation, operations
from keras_mtl.export._formats._single_precision import (
    computes_in_double,
    write_single_precision,
)

_LACKING = re.compile(r"'?tf\.(\w+)'? op")


def refuse_unknown(served: Served) -> None:
    """Checks that LiteRT has what the network needs, as far as the graph shows it.

    Raises:
        ValueError: If it has recurrent layers in loops, or tables of codes; the message says how
            to mend it.
    """
    # Loops keep their steps in lists of tensors, which need the operations of TensorFlow itself
    # (docs/keras_notes.md, pain 130).
    if has_operation(served, "TensorListReserve"):
        raise ValueError(
            "A recurrent layer (LSTM, GRU, SimpleRNN) runs in a loop, and LiteRT cannot run it "
            "without the operations of TensorFlow itself. Nothing was written. Build the network "
            "with unroll=True in that layer and a fixed length of time, load the weights, and "
            "export it; or use export.onnx(folder)."
        )
    codes = {tf.int64.as_datatype_enum}
    for node in operations(served):
        if (
            node.op == "LookupTableFindV2"
            and {node.attr["Tin"].type, node.attr["Tout"].type} == codes
        ):
            raise ValueError(
                f"LiteRT has lookup tables of strings alone, and {node.name!r} looks up codes "
                "(IntegerLookup, or categorical= of data.tabular_encoder). Nothing was written. "
                "Give the column to the network as text, or use export.onnx(folder)."
            )


def convert(served: Served, quantize: str | None) -> bytes:
    """Returns a LiteRT model with all signatures, which share their weights.

    Args:
        served: The SavedModel.
        quantize: `None`, `"float16"` or `"int8"`.

    Raises:
        ValueError: If an operation cannot be converted; the message names it.
    """
    if not computes_in_double(served):
        return _convert(served, served.folder, quantize)
    with tempfile.TemporaryDirectory() as folder:
        copy = write_single_precision(served, pathlib.Path(folder))
        return _convert(served, copy, quantize)


def _convert(served: Served, folder: pathlib.Path, quantize: str | None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=sorted(served.signatures)
    )
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        content: bytes = converter.convert()
    except Exception as error:
        raise ValueError(_explain(served, error)) from error
    return content


def _explain(served: Served, error: Any) -> str:
    text = str(error)
    lacking = sorted(set(_LACKING.findall(text)))
    what = f"LiteRT has no {', '.join(lacking)}" if lacking else text.strip().splitlines()[0][:300]
    return (
        f"The SavedModel in {str(served.folder)!r} cannot be converted to LiteRT: {what}. Nothing "
        "was written; serve the SavedModel itself, or try export.onnx(folder)."
    )
