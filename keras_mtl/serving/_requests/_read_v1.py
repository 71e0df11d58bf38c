"""Requests in the form of TensorFlow Serving's REST."""

from typing import Any

from keras_mtl.export._beside._interface import SignatureSpec
from keras_mtl.serving._contract import Contract
from keras_mtl.serving._requests._read_json import read_json, refuse_not_json
from keras_mtl.serving._requests._refusal import Refusal, name_type
from keras_mtl.serving._requests._request import (
    Request,
    check_names,
    check_rows,
    find_signature,
    make_request,
)
from keras_mtl.serving._settings import Limits

_KEYS = frozenset({"signature_name", "instances", "inputs"})


def read_v1(body: bytes, contract: Contract, limits: Limits) -> tuple[Request, bool]:
    """Reads `{"signature_name": ..., "instances": [...]}` or `{..., "inputs": {...}}`.

    Returns:
        The request, and whether its answer has one entry per row, as `instances` do, rather than
        one per column.

    Raises:
        Refusal: If anything is missing, unknown, or of another type or shape.
    """
    content, valid = read_json(body, _KEYS)
    name, signature = find_signature(contract, content.get("signature_name", "serving_default"))
    by_row = "instances" in content
    if by_row == ("inputs" in content):
        raise Refusal(
            400, "json", "the body must have 'instances' (a list of rows) or 'inputs' (columns)."
        )
    where = f"signature {name!r}"
    if by_row:
        columns = _read_instances(content["instances"], signature, where, limits)
    else:
        columns = _read_columns(content["inputs"], signature, where)
    request = make_request(contract, columns, signature.outputs, limits)
    if not valid:
        raise refuse_not_json()
    return request, by_row


def _read_instances(
    rows: Any, signature: SignatureSpec, where: str, limits: Limits
) -> dict[str, list[Any]]:
    """Returns columns of rows; the only column of a signature may come without its name."""
    if type(rows) is not list:
        raise Refusal(400, "type", f"'instances' must be a list; received {name_type(rows)}.")
    check_rows(len(rows), limits)
    names = signature.inputs
    has_names = type(rows[0]) is dict and rows[0].keys() != {"b64"}
    if len(names) == 1 and not has_names:
        return {names[0]: rows}
    expected = set(names)
    for place, row in enumerate(rows):
        if type(row) is not dict:
            raise Refusal(
                400,
                "type",
                f"row {place} of 'instances' must be an object with one entry per column; received "
                f"{name_type(row)}.",
            )
        if row.keys() != expected:
            check_names(row, names, names, f"{where} (row {place})")
    return {name: [row[name] for row in rows] for name in names}


def _read_columns(content: Any, signature: SignatureSpec, where: str) -> dict[str, list[Any]]:
    """Returns columns; the only column of a signature may come without its name."""
    names = signature.inputs
    if len(names) == 1 and type(content) is list:
        content = {names[0]: content}
    if type(content) is not dict:
        raise Refusal(
            400,
            "type",
            f"'inputs' must be an object with one list per column; received {name_type(content)}.",
        )
    check_names(content, names, names, where)
    for name in names:
        if type(content[name]) is not list:
            raise Refusal(
                400,
                "shape",
                f"column {name!r} must be a list of rows; received {name_type(content[name])}.",
            )
    return {name: content[name] for name in names}
