"""Exported networks in OpenVINO."""

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.export._formats._extras import import_extra
from keras_mtl.export._formats._proof import Proof
from keras_mtl.export._formats._quantized import refuse_quantized
from keras_mtl.export._formats._served import ALL, Served, has_operation, load_served

_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
_LACKING = re.compile(r"No conversion rule found for operations: ([\w, ]+)")


def openvino(
    folder: str | os.PathLike[str],
    *,
    rows: Mapping[str, Any] | None = None,
    tolerance: float = 1e-6,
) -> Any:
    """Compiles an exported network by OpenVINO for the CPU, with float32 throughout.

    OpenVINO reads the SavedModel itself, so that no file is written. By default it computes in
    reduced precision where the processor has it, and is off by up to .05 (seen, on logits of
    images); the hint that switches this off cannot be kept in a file (docs/keras_notes.md, pain
    133). That is why this function compiles, and compares the answers with those of the SavedModel
    as `onnx` does.

    Choose it on Intel processors, for networks of numbers and images. Not for raw columns of text
    or codes: OpenVINO has no lookup tables, so export the network behind the encoder, or use
    `onnx`.

    Args:
        folder: The folder of a version, as `export.saved_model` returns it.
        rows: By the names of inputs, arrays of a few real rows to compare on. Defaults to drawn
            rows.
        tolerance: The largest difference to the SavedModel, as a fraction of the largest answer, or
            of 1 if that is smaller.

    Returns:
        An `openvino.CompiledModel`. It takes a dict by the names of inputs, and its result has the
        outputs by name (`result["income"]`).

    Raises:
        ValueError: If the folder holds no export, the network has lookup tables or has been
            quantized by Keras, an operation cannot be converted, or the answers differ. The
            message names the task.
        ImportError: If `openvino` is not installed; it comes with the extra `openvino`.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> model = openvino(folder)
        >>> model({"user": np.zeros((3, 4), "float32")})["click"].shape
        (3, 1)
    """
    served = load_served(folder)
    refuse_quantized(served, "an OpenVINO model", "export.openvino(folder)")
    _refuse_tables(served)
    core = import_extra("openvino", "openvino").Core()
    try:
        model = core.compile_model(core.read_model(str(served.folder)), "CPU", _EXACT)
    except RuntimeError as error:
        lacking = _LACKING.search(str(error))
        reason = f"it has no {lacking[1]}" if lacking else str(error).strip().splitlines()[-1]
        raise ValueError(
            f"OpenVINO cannot read the SavedModel in {str(served.folder)!r}: {reason}. Use "
            "export.onnx(folder), or the SavedModel."
        ) from error

    outputs = list(served.signatures[ALL].structured_outputs)

    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        result = model({name: request[name] for name in served.specs})
        return {name: np.array(result[name]) for name in outputs}

    Proof(served, rows, tolerance).check(answer, "The OpenVINO model")
    return model


def _refuse_tables(served: Served) -> None:
    texts = sorted(name for name, spec in served.specs.items() if spec.dtype == tf.string)
    if texts or has_operation(served, "LookupTableFindV2"):
        what = f"the inputs {texts} are text" if texts else "the network looks up codes"
        raise ValueError(
            f"OpenVINO has neither text nor lookup tables, and {what}. Export the network behind "
            "the encoder and encode in the client, or use export.onnx(folder)."
        )
