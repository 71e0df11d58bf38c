"""Serving of exported networks without TensorFlow: a small server, a predictor, and a client.

`python -m keras_mtl.serve FOLDER` serves the newest version in a folder.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_mtl.serving._client import Client, ServingError
    from keras_mtl.serving._configure import Front, configure
    from keras_mtl.serving._drift import drift
    from keras_mtl.serving._drift_report import DriftReport
    from keras_mtl.serving._http._app import Application
    from keras_mtl.serving._predictor import Predictor
    from keras_mtl.serving._requests._refusal import Refusal
    from keras_mtl.serving._settings import Limits, Settings
    from keras_mtl.serving._watching._calibration import Calibration, calibration_error
    from keras_mtl.serving._watching._drift import Drift, population_stability
    from keras_mtl.serving._watching._reference import write_reference
    from keras_mtl.serving._write_triton import write_triton

__all__ = [
    "Application",
    "Calibration",
    "Client",
    "Drift",
    "DriftReport",
    "Front",
    "Limits",
    "Predictor",
    "Refusal",
    "ServingError",
    "Settings",
    "calibration_error",
    "configure",
    "drift",
    "population_stability",
    "write_reference",
    "write_triton",
]

_HOMES = {
    "Application": "_http._app",
    "Calibration": "_watching._calibration",
    "Client": "_client",
    "Drift": "_watching._drift",
    "DriftReport": "_drift_report",
    "Front": "_configure",
    "Limits": "_settings",
    "Predictor": "_predictor",
    "Refusal": "_requests._refusal",
    "ServingError": "_client",
    "Settings": "_settings",
    "calibration_error": "_watching._calibration",
    "configure": "_configure",
    "drift": "_drift",
    "population_stability": "_watching._drift",
    "write_reference": "_watching._reference",
    "write_triton": "_write_triton",
}


def __getattr__(name: str) -> Any:
    # The server needs packages of the extra `serve`, the client none of them.
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_mtl.serving' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"keras_mtl.serving.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
