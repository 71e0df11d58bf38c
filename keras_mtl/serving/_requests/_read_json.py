"""JSON bodies."""

import json
from typing import Any

import orjson

from keras_mtl.serving._requests._refusal import Refusal, name_type, quote


def read_json(body: bytes, keys: frozenset[str]) -> tuple[dict[str, Any], bool]:
    """Returns the object that a body holds, and whether it is valid JSON.

    NaN and Infinity are no JSON. A body that is valid but for them is read all the same, so that
    the checks can name the column.

    Args:
        body: The bytes of the body.
        keys: The keys that the object may have.

    Raises:
        Refusal: If the body is not an object in JSON and UTF-8, or has another key.
    """
    valid = True
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        valid = False
        content = _read_not_finite(body)
        if content is None:
            raise Refusal(
                400,
                "json",
                f"the body is not JSON in UTF-8: {error.msg} (line {error.lineno}, column "
                f"{error.colno}).",
            ) from None
    if type(content) is not dict:
        raise Refusal(
            400, "json", f"the body must be an object in JSON; received {name_type(content)}."
        )
    unknown = content.keys() - keys
    if unknown:
        raise Refusal(
            400,
            "json",
            f"the body has the unknown key {quote(min(unknown))}; expected {sorted(keys)}.",
        )
    return content, valid


def refuse_not_json() -> Refusal:
    """Returns the refusal of a body with NaN or Infinity that no column holds."""
    return Refusal(
        400, "json", "the body is not JSON, which has null for a missing number, not NaN."
    )


def _read_not_finite(body: bytes) -> Any:
    """Returns the content of a body that is JSON but for NaN or Infinity; otherwise `None`."""
    if b"NaN" not in body and b"Infinity" not in body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
