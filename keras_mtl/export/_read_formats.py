"""The formats that an export writes beside its SavedModel."""

import importlib
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

_FORMATS = ("onnx", "litert")


def read_formats(formats: Sequence[str]) -> list[Callable[[pathlib.Path], Any]]:
    """Returns for each format the function that adds it to the folder of a version.

    Raises:
        ValueError: If a format is unknown, or comes twice.

    Example:
        >>> [function.__name__ for function in read_formats(["onnx"])]
        ['onnx']
    """
    if isinstance(formats, str) or sorted(set(formats) & set(_FORMATS)) != sorted(formats):
        raise ValueError(
            f"formats must be a list of {list(_FORMATS)}, each at most once; received {formats!r}."
        )
    return [getattr(importlib.import_module(f"keras_mtl.export._{name}"), name) for name in formats]
