"""Answers of ONNX Runtime."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.export._formats._extras import import_extra

Array = npt.NDArray[Any]


def onnx_inputs(rows: Mapping[str, Any]) -> dict[str, Array]:
    """Returns rows of a request as ONNX Runtime takes them: text as `str`.

    ONNX Runtime looks up `bytes` under the name `"b'Oslo'"`: it takes each word for an unknown one
    and answers without an error (docs/keras_notes.md, pain 128). Servers and TensorFlow hand over
    `bytes`.

    Args:
        rows: By the names of inputs, arrays or lists. `bytes` are decoded as UTF-8; what is not
            UTF-8 becomes the sign of a character that cannot be read, and so an unknown word.

    Returns:
        Arrays by name; all but text are as they were.

    Example:
        >>> onnx_inputs({"city": [b"Oslo", "Rome"], "age": np.array([3.0])})
        {'city': array(['Oslo', 'Rome'], dtype=object), 'age': array([3.])}
    """
    return {name: _as_array(values) for name, values in rows.items()}


def _as_array(values: Any) -> Array:
    is_list = isinstance(values, list | tuple)
    # NumPy would decode bytes in a list as ASCII, if some other entry is a string.
    array = np.asarray(values, object) if is_list else np.asarray(values)
    if array.dtype.kind in "SUO" and any(isinstance(entry, str | bytes) for entry in array.flat):
        decoded: Array = np.vectorize(_decode, otypes=[object])(array)
        return decoded
    return np.asarray(values) if is_list else array


def _decode(word: Any) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


_DTYPES = {"float": "float32", "double": "float64"}


def _spec(entry: Any) -> tuple[str, int]:
    """Returns the dtype and the rank of an input, which ONNX Runtime calls `tensor(float)`."""
    name = entry.type.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(name, name), len(entry.shape)


class OnnxRunner:
    """Runs an ONNX model by ONNX Runtime, on one thread.

    Args:
        model: The path of a file, or its bytes.
    """

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        runtime = import_extra("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised
        options.intra_op_num_threads = 1
        # 8-bit weights become float32 once, when the session starts, and not in every request.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = runtime.InferenceSession(
            model if isinstance(model, bytes) else os.fspath(model),
            options,
            providers=["CPUExecutionProvider"],
        )
        self.inputs = tuple(entry.name for entry in self._session.get_inputs())
        self.specs = {entry.name: _spec(entry) for entry in self._session.get_inputs()}
        self.outputs = tuple(entry.name for entry in self._session.get_outputs())

    def answer(self, rows: Mapping[str, Any], outputs: list[str] | None = None) -> dict[str, Array]:
        """Returns the answers, by output.

        Args:
            rows: By the names of inputs; others are left out.
            outputs: Which outputs; all of them by default. What only others need is not computed.
        """
        names = list(outputs or self.outputs)
        request = onnx_inputs({name: rows[name] for name in self.inputs})
        return dict(zip(names, self._session.run(names, request), strict=True))
