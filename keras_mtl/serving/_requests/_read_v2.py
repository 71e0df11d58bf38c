"""Requests in the form of the Open Inference Protocol, version 2."""

import math
from typing import Any

from keras_mtl.serving._contract import Column, Contract
from keras_mtl.serving._requests._read_json import read_json, refuse_not_json
from keras_mtl.serving._requests._refusal import Refusal, quote
from keras_mtl.serving._requests._request import Request, check_names, find_output, make_request
from keras_mtl.serving._settings import Limits

DATATYPES = {
    "bool": "BOOL",
    "string": "BYTES",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}
"""The protocol's names of dtypes."""

_KEYS = frozenset({"id", "parameters", "inputs", "outputs"})


def read_v2(body: bytes, contract: Contract, limits: Limits) -> tuple[Request, str | None]:
    """Reads `{"inputs": [{"name", "shape", "datatype", "data"}], "outputs": [{"name"}]}`.

    Without `outputs`, all outputs are answered. With them, only the columns from which they are
    computed must be sent.

    Returns:
        The request, and its `id`.

    Raises:
        Refusal: If anything is missing, unknown, or of another type or shape.
    """
    content, valid = read_json(body, _KEYS)
    label = content.get("id")
    if label is not None and (type(label) is not str or len(label) > 128):
        raise Refusal(400, "json", "'id' must be a string of at most 128 characters.")
    outputs = _read_outputs(content.get("outputs"), contract)
    tensors = _read_tensors(content.get("inputs"))
    expected = {name: None for output in outputs for name in contract.reads[output]}
    check_names(tensors, tuple(expected), tuple(contract.columns), "this model")
    columns = {
        name: _read_tensor(contract.columns[name], tensor) for name, tensor in tensors.items()
    }
    request = make_request(contract, columns, outputs, limits)
    if not valid:
        raise refuse_not_json()
    return request, label


def _read_outputs(content: Any, contract: Contract) -> tuple[str, ...]:
    """Returns the names of the outputs that a request asks for."""
    if content is None or content == []:
        return tuple(contract.outputs)
    if type(content) is not list or not all(type(entry) is dict for entry in content):
        raise Refusal(400, "json", "'outputs' must be a list of objects with a 'name'.")
    names = tuple(find_output(contract, entry.get("name")) for entry in content)
    return tuple(dict.fromkeys(names))


def _read_tensors(content: Any) -> dict[str, dict[str, Any]]:
    """Returns the inputs of a request by name."""
    if type(content) is not list or not content:
        raise Refusal(400, "json", "'inputs' must be a list with one object per column.")
    tensors: dict[str, dict[str, Any]] = {}
    for place, tensor in enumerate(content):
        if type(tensor) is not dict or type(tensor.get("name")) is not str:
            raise Refusal(
                400, "json", f"entry {place} of 'inputs' must be an object with a 'name'."
            )
        if tensor["name"] in tensors:
            raise Refusal(400, "columns", f"column {quote(tensor['name'])} is sent twice.")
        tensors[tensor["name"]] = tensor
    return tensors


def _read_tensor(column: Column, tensor: dict[str, Any]) -> list[Any]:
    """Returns the rows of a column, whose data may be nested or flat."""
    datatype = DATATYPES[column.dtype]
    if tensor.get("datatype") != datatype:
        raise Refusal(
            400,
            "type",
            f"column {column.name!r} has datatype {datatype}; the 'datatype' of the request is "
            "another.",
        )
    shape = _read_shape(column, tensor.get("shape"))
    data = tensor.get("data")
    if type(data) is not list:
        raise Refusal(
            400, "shape", f"column {column.name!r}: 'data' must be a list; binary data is not read."
        )
    is_flat = len(shape) > 1 and not (data and type(data[0]) is list)
    if len(data) != (math.prod(shape) if is_flat else shape[0]):
        raise Refusal(
            400,
            "shape",
            f"column {column.name!r}: 'data' has length {len(data)}, which does not fit the shape "
            f"{shape}.",
        )
    return _nest(data, shape[1:]) if is_flat else data


def _read_shape(column: Column, shape: Any) -> list[int]:
    sizes = (None, *column.shape)
    fits = (
        type(shape) is list
        and len(shape) == len(sizes)
        and all(type(length) is int and 0 <= length < 1 << 31 for length in shape)
        and all(size in (None, length) for size, length in zip(sizes, shape, strict=True))
    )
    if not fits:
        expected = [-1 if size is None else size for size in sizes]
        raise Refusal(
            400,
            "shape",
            f"column {column.name!r} has the shape {expected}, where -1 is any length; the "
            "'shape' of the request is another.",
        )
    return list(shape)


def _nest(data: list[Any], shape: list[int]) -> list[Any]:
    """Returns flat data as one nested list per row, of the shape of a row."""
    for size in reversed(shape):
        if size == 0:
            raise Refusal(400, "shape", "flat 'data' cannot have an axis of length 0.")
        data = [data[start : start + size] for start in range(0, len(data), size)]
    return data
