"""LiteRT files beside an exported SavedModel."""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_mtl.export._beside._place import new_file
from keras_mtl.export._formats._proof import Proof, check_quantize
from keras_mtl.export._formats._quantized import refuse_quantized
from keras_mtl.export._formats._run_litert import LitertRunner
from keras_mtl.export._formats._served import load_served
from keras_mtl.export._formats._to_litert import convert, refuse_unknown


def litert(
    folder: str | os.PathLike[str],
    *,
    quantize: str | None = None,
    rows: Mapping[str, Any] | None = None,
    tolerance: float = 1e-6,
) -> pathlib.Path:
    """Writes an exported network as one LiteRT (TensorFlow Lite) file, into its version folder.

    The file has all signatures of the export, that of all tasks and one per task, with the same
    names of inputs and outputs; they share the weights. Run them by the signature runner
    (`interpreter.get_signature_runner("income")`): the outputs of the graph itself have neither
    names nor order. Text is `bytes`. Lookup tables of strings, decisions and the answer of NaN to
    rows that are not finite are in the file.

    Before the file is seen, the answers of each signature are compared with those of the
    SavedModel: on `rows`, or on rows drawn from the lookup tables and the boundaries of bins, and
    on those that the version holds in `recorded.json`; again with NaN and infinity. A file that
    answers otherwise is refused, and so is what LiteRT cannot express; then nothing is written.

    Choose it for phones and small computers: the runtime takes a few MB, and a row less than half
    of the time of TensorFlow. Choose `onnx` for servers, where one session serves several threads.
    Not for recurrent layers in loops (`unroll=True` mends it) or tables of codes (`IntegerLookup`).

    Args:
        folder: The folder of a version, as `export.saved_model` returns it.
        quantize: How weights are stored. `None`: float32, in `model.tflite`. `"float16"`: in
            `model.float16.tflite`, half of the bytes; probabilities move by about .001. `"int8"`:
            in `model.int8.tflite`, a third to a quarter of the bytes and faster; probabilities move
            by up to some hundredths, and the AUC in Census-Income by less than .001. Weights of
            less than 1,024 numbers stay float32, and there the file does not shrink. See
            `export.compare` before you serve a quantized file.
        rows: By the names of inputs, arrays of a few real rows to compare on. Defaults to drawn
            rows.
        tolerance: The largest difference to the SavedModel, as a fraction of the largest answer, or
            of 1 if that is smaller. A quantized file is compared before it is quantized.

    Returns:
        The file.

    Raises:
        ValueError: If the folder holds no export, the network has been quantized by Keras, an
            operation cannot be converted, or the answers differ. The message names the task.
        ImportError: If `ai-edge-litert` is not installed; it comes with the extra `litert`.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> file = litert(folder)
        >>> file.name
        'model.tflite'
        >>> import numpy as np
        >>> from ai_edge_litert.interpreter import Interpreter
        >>> click = Interpreter(str(file)).get_signature_runner("click")
        >>> click(user=np.zeros((3, 4), "float32"))["click"].shape
        (3, 1)
    """
    suffix = check_quantize(quantize, ("float16", "int8"))
    served = load_served(folder)
    refuse_quantized(served, "a LiteRT file", 'export.litert(folder, quantize="int8")')
    refuse_unknown(served)
    proof = Proof(served, rows, tolerance)
    content = convert(served, None)
    runner = LitertRunner(content)
    for signature in served.signatures:
        answer = functools.partial(runner.answer, signature=signature)
        proof.check(answer, f"Signature {signature!r} of the LiteRT file", signature)
    if quantize:
        content = convert(served, quantize)
        proof.check_gaps(LitertRunner(content).answer, "The quantized LiteRT file")
    path = served.folder / f"model{suffix}.tflite"
    with new_file(path) as unfinished:
        unfinished.write_bytes(content)
    return path
