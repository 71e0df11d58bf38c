"""ONNX files beside an exported SavedModel."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_mtl.export._beside._place import new_file
from keras_mtl.export._formats._extras import import_extra
from keras_mtl.export._formats._onnx_check import unknown_operations
from keras_mtl.export._formats._onnx_weights import quantize_weights
from keras_mtl.export._formats._proof import Proof, check_quantize
from keras_mtl.export._formats._quantized import refuse_quantized
from keras_mtl.export._formats._run_onnx import OnnxRunner
from keras_mtl.export._formats._served import Served, load_served
from keras_mtl.export._formats._to_onnx import convert, freeze

_ROADS = {
    "StringToHashBucketFast": "use data.tabular_encoder, or StringLookup with a vocabulary and one "
    "unknown entry, in place of hashing",
    "DecodeImage": "leave data.image_decoder out of the network and decode in the client",
    "DecodeJpeg": "leave data.image_decoder out of the network and decode in the client",
    "StringSplitV2": "leave the text encoder out of the network and split text in the client",
    "RegexReplace": "leave the text encoder out of the network and split text in the client",
    "StaticRegexReplace": "leave the text encoder out of the network and split text in the client",
}
_SERVE = "serve the SavedModel itself"


def onnx(
    folder: str | os.PathLike[str],
    *,
    quantize: str | None = None,
    rows: Mapping[str, Any] | None = None,
    tolerance: float = 1e-6,
) -> pathlib.Path:
    """Writes an exported network as one ONNX graph, into its version folder.

    The graph has all inputs and all outputs of the signature `serving_default`, under the same
    names, decisions and the answer of NaN to rows that are not finite included. A request for one
    task names its output (`session.run(["income"], rows)`), and ONNX Runtime computes no more than
    that. Lookup tables of strings and numbers are in the graph. ONNX Runtime takes text as `str`:
    given `bytes`, it answers without an error and wrongly, so pass rows through `onnx_inputs`.

    Before the file is seen, its answers are compared with those of the SavedModel: on `rows`, or
    on rows drawn from the lookup tables and the boundaries of bins, and on those that the version
    holds in `recorded.json`; again with NaN and infinity. A graph that answers otherwise is
    refused, and so is what ONNX cannot express; then nothing is written.

    Choose it for servers without TensorFlow: the process starts in a third of the time and takes a
    tenth of the memory. Not to train on: keep the `.keras` file for that. Not for graphs with
    hashed strings, text splitting or image decoding, which ONNX lacks.

    Args:
        folder: The folder of a version, as `export.saved_model` returns it.
        quantize: `None` for float32 weights, in `model.onnx`. `"int8"` for 8-bit kernels and
            embeddings, in `model.int8.onnx`: a third of the bytes, and predictions that move by
            about .01 (Census-Income, AUC by less than .0001). It saves bytes and no time: the
            runtime computes in float32. With the entry `session.disable_quant_qdq` of its
            configuration at `"1"` it restores the weights once, and otherwise in each request. See
            `export.compare` before you serve it.
        rows: By the names of inputs, arrays of a few real rows to compare on. Defaults to drawn
            rows.
        tolerance: The largest difference to the SavedModel, as a fraction of the largest answer, or
            of 1 if that is smaller. A quantized graph is compared before it is quantized.

    Returns:
        The file. Its opset is 18 (with `ai.onnx.ml` 2 where there are lookup tables), which ONNX
        Runtime 1.14 and newer run.

    Raises:
        ValueError: If the folder holds no export, the network has been quantized by Keras, an input
            and an output have one name, an operation cannot be converted, or the answers differ.
            The message names the task.
        ImportError: If `tf2onnx` or `onnxruntime` is not installed; both come with the extra
            `onnx`.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> file = onnx(folder)
        >>> file.name
        'model.onnx'
        >>> import numpy as np
        >>> import onnxruntime
        >>> session = onnxruntime.InferenceSession(file)
        >>> (clicks,) = session.run(["click"], {"user": np.zeros((3, 4), "float32")})
        >>> clicks.shape
        (3, 1)
    """
    suffix = check_quantize(quantize, ("int8",))
    served = load_served(folder)
    refuse_quantized(served, "an ONNX graph", 'export.onnx(folder, quantize="int8")')
    _refuse_one_name_twice(served)
    proof = Proof(served, rows, tolerance)
    model = _convert(served)
    proof.check(OnnxRunner(model.SerializeToString()).answer, "The ONNX graph")
    if quantize:
        model = quantize_weights(model)
        proof.check_gaps(OnnxRunner(model.SerializeToString()).answer, "The quantized ONNX graph")
    path = served.folder / f"model{suffix}.onnx"
    with new_file(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString())
    return path


def _refuse_one_name_twice(served: Served) -> None:
    twice = sorted(set(served.specs) & set(served.signatures["serving_default"].structured_outputs))
    if twice:
        raise ValueError(
            f"{twice[0]!r} is the name of an input and of the output of a task, and in an ONNX "
            "graph a name stands once. Rename the input, which does not train again: "
            "keras.Model({new_name: input, ...}, network.output), and export that."
        )


def _convert(served: Served) -> Any:
    """Returns the ONNX model of a SavedModel.

    Raises:
        ValueError: If an operation cannot be converted; the message names it, and the tasks.
    """
    checker = import_extra("onnx.checker", "onnx")
    try:
        model = convert(freeze(served))
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"The SavedModel in {str(served.folder)!r} cannot be converted to ONNX: "
            f"{str(error).splitlines()[0]} Nothing was written; {_SERVE}."
        ) from error
    unknown = unknown_operations(model)
    if unknown:
        names = sorted(unknown)
        tasks = sorted({served.task_of(output) for name in names for output in unknown[name]})
        road = next((_ROADS[name] for name in names if name in _ROADS), None)
        raise ValueError(
            f"ONNX has no {', '.join(names)}, which task(s) {tasks} need. Nothing was written; "
            f"{road + ', or ' if road else ''}{_SERVE}."
        )
    checker.check_model(model)
    return model
