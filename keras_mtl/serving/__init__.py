"""Serving of exported networks: a small server without TensorFlow, and a client.

`python -m keras_mtl.serve FOLDER` serves the newest version in a folder.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_mtl.serving._http._app import Application
    from keras_mtl.serving._settings import Limits, Settings

__all__ = ["Application", "Limits", "Settings"]

_HOMES = {"Application": "_http._app", "Limits": "_settings", "Settings": "_settings"}


def __getattr__(name: str) -> Any:
    # The server needs packages of the extra `serve`, the client none of them.
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_mtl.serving' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"keras_mtl.serving.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
