"""JSON objects with a format number."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_mtl.export._beside._refused import RefusedVersion

FORMAT = 1


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes an object as `{"format": 1, ...}`.

    Raises:
        ValueError: If a number is not finite: JSON has no name for it.
    """
    text = json.dumps({"format": FORMAT, **content}, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads an object that `write_json` wrote.

    Raises:
        RefusedVersion: If there is no such file, or it holds something else.
    """
    return parse_json(path, read_file(path))


def read_file(path: pathlib.Path) -> bytes:
    """Returns the bytes of a file of a version.

    Raises:
        RefusedVersion: If there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RefusedVersion(
            f"{path.parent} has no {path.name}: it was not written by export.saved_model, or not "
            "to the end."
        ) from error
    except OSError as error:
        raise RefusedVersion(f"{path} cannot be read: {error}.") from error


def parse_json(path: pathlib.Path, text: bytes) -> dict[str, Any]:
    """Returns the object in the bytes of a file.

    Raises:
        RefusedVersion: If they are something else.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedVersion(f"{path} cannot be read as JSON: {error}.") from error
    received = content.get("format") if isinstance(content, dict) else None
    if received != FORMAT:
        raise RefusedVersion(
            f'{path} must be an object with "format": {FORMAT}; received '
            + (f"format {received!r}." if isinstance(content, dict) else f"{type(content)}.")
        )
    return dict(content)
