"""Answers in the forms of both protocols."""

from collections.abc import Mapping
from typing import Any

import orjson

from keras_mtl.serving._contract import Column
from keras_mtl.serving._requests._read_v2 import DATATYPES
from keras_mtl.serving._runtimes._runtime import Array
from keras_mtl.serving._versions._version import Version

_V1_DTYPES = {"bool": "DT_BOOL", "string": "DT_STRING", "float16": "DT_HALF"}
_V1_DTYPES |= {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "bfloat16": "DT_BFLOAT16"}


def to_json(content: Any) -> bytes:
    """Returns JSON; float32 is written with as many digits as it needs."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def answer_v1(outputs: Mapping[str, Array], by_row: bool) -> bytes:
    """Returns an answer as TensorFlow Serving writes it.

    A signature with one output is answered by its bare values, one with several by objects.
    """
    values = {name: _plain(array) for name, array in outputs.items()}
    if len(values) == 1:
        (content,) = values.values()
        return to_json({"predictions" if by_row else "outputs": content})
    if not by_row:
        return to_json({"outputs": values})
    rows = zip(*values.values(), strict=True)
    return to_json({"predictions": [dict(zip(values, row, strict=True)) for row in rows]})


def answer_v2(
    model: str, version: Version, outputs: Mapping[str, Array], label: str | None
) -> bytes:
    """Returns an answer in the form of the Open Inference Protocol, with flat data."""
    content: dict[str, Any] = {"model_name": model, "model_version": str(version.number)}
    if label is not None:
        content["id"] = label
    content["outputs"] = [
        {
            "name": name,
            "datatype": DATATYPES["string" if array.dtype == object else array.dtype.name],
            "shape": list(array.shape),
            "data": _plain(array.reshape(-1)),
        }
        for name, array in outputs.items()
    ]
    return to_json(content)


def status_v1(version: Version | None, refused: Mapping[int, str]) -> bytes:
    """Returns the states of the versions as TensorFlow Serving writes them."""
    states = [
        {
            "version": str(number),
            "state": "END",
            "status": {"error_code": "FAILED_PRECONDITION", "error_message": reason},
        }
        for number, reason in refused.items()
    ]
    if version is not None:
        states.append(
            {
                "version": str(version.number),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        )
    states.sort(key=lambda state: -int(str(state["version"])))
    return to_json({"model_version_status": states})


def metadata_v1(model: str, version: Version) -> bytes:
    """Returns the signatures as TensorFlow Serving writes them."""
    contract = version.contract
    signatures = {
        name: {
            "inputs": {
                column: _tensor_v1(contract.columns[column], column) for column in signature.inputs
            },
            "outputs": {
                output: _tensor_v1(contract.outputs[output], output) for output in signature.outputs
            },
            "method_name": "tensorflow/serving/predict",
        }
        for name, signature in contract.signatures.items()
    }
    return to_json(
        {
            "model_spec": {
                "name": model,
                "signature_name": "",
                "version": str(version.number),
            },
            "metadata": {"signature_def": {"signature_def": signatures}},
        }
    )


def metadata_v2(model: str, version: Version) -> bytes:
    """Returns the columns and outputs in the form of the Open Inference Protocol."""
    contract = version.contract
    return to_json(
        {
            "name": model,
            "versions": [str(version.number)],
            "platform": f"{version.kind}_keras_mtl",
            "inputs": [_tensor_v2(column) for column in contract.columns.values()],
            "outputs": [_tensor_v2(column) for column in contract.outputs.values()],
        }
    )


def _plain(array: Array) -> Any:
    """Returns an array that can be written as JSON."""
    if array.dtype.kind in "OV" or array.dtype.name in ("float16", "bfloat16"):
        return array.astype("float32" if array.dtype != object else object).tolist()
    return array if array.flags.c_contiguous else array.copy()


def _tensor_v1(column: Column, name: str) -> dict[str, Any]:
    sizes = (None, *column.shape)
    return {
        "dtype": _V1_DTYPES.get(column.dtype, f"DT_{column.dtype.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(-1 if size is None else size), "name": ""} for size in sizes],
            "unknown_rank": False,
        },
        "name": name,
    }


def _tensor_v2(column: Column) -> dict[str, Any]:
    shape = [-1, *(-1 if size is None else size for size in column.shape)]
    return {"name": column.name, "datatype": DATATYPES[column.dtype], "shape": shape}
