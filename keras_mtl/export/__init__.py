"""Export of trained networks: plain networks, and SavedModels for servers, without balancers."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_mtl.export._audit._audit import audit
    from keras_mtl.export._beside._manifest import check_manifest
    from keras_mtl.export._beside._model_card import model_card
    from keras_mtl.export._beside._refused import RefusedVersion
    from keras_mtl.export._beside._signature import sign, verify_signature
    from keras_mtl.export._choose_thresholds import choose_thresholds
    from keras_mtl.export._compare import compare
    from keras_mtl.export._distill import distill
    from keras_mtl.export._footprint import Footprint, Footprints, footprint
    from keras_mtl.export._format_comparison import (
        ArtifactSize,
        FormatComparison,
        MovedPrediction,
    )
    from keras_mtl.export._formats._run_onnx import onnx_inputs
    from keras_mtl.export._harden import harden
    from keras_mtl.export._litert import litert
    from keras_mtl.export._merge import merge
    from keras_mtl.export._onnx import onnx
    from keras_mtl.export._openvino import openvino
    from keras_mtl.export._saved_model import saved_model
    from keras_mtl.export._single_task import single_task
    from keras_mtl.export._with_rules import with_rules

__all__ = [
    "ArtifactSize",
    "Footprint",
    "Footprints",
    "FormatComparison",
    "MovedPrediction",
    "RefusedVersion",
    "audit",
    "check_manifest",
    "choose_thresholds",
    "compare",
    "distill",
    "footprint",
    "harden",
    "litert",
    "merge",
    "model_card",
    "onnx",
    "onnx_inputs",
    "openvino",
    "saved_model",
    "sign",
    "single_task",
    "verify_signature",
    "with_rules",
]

# Names load at first use: a server that reads the files beside a model needs no TensorFlow.
_MODULES = {name: f"_{name}" for name in __all__} | {
    "ArtifactSize": "_format_comparison",
    "Footprint": "_footprint",
    "Footprints": "_footprint",
    "FormatComparison": "_format_comparison",
    "MovedPrediction": "_format_comparison",
    "audit": "_audit._audit",
    "RefusedVersion": "_beside._refused",
    "check_manifest": "_beside._manifest",
    "model_card": "_beside._model_card",
    "sign": "_beside._signature",
    "verify_signature": "_beside._signature",
    "onnx_inputs": "_formats._run_onnx",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"keras_mtl.export.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'keras_mtl.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
