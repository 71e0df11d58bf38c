"""recorded.json: rows and answers, for a smoke test of a loaded version."""

import base64
import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.export._beside._interface import InputSpec
from keras_mtl.export._beside._json_files import read_json, write_json
from keras_mtl.export._beside._refused import RefusedVersion

FILE = "recorded.json"
TOLERANCE = 1e-5

Rows = Mapping[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Holds rows and what the exported signature `serving_default` answered them.

    Args:
        tolerance: How far an answer may be from the recorded one, as a part of the larger of 1 and
            the recorded number.
        inputs: Rows by input, as nested lists. A string is text; bytes that are not UTF-8 are
            `{"b64": ...}`, as in requests to TensorFlow Serving.
        outputs: Answers by output, as nested lists, `None` for a number that is not finite.
    """

    tolerance: float
    inputs: Mapping[str, list[Any]]
    outputs: Mapping[str, list[Any]]

    def arrays(self, specs: Mapping[str, InputSpec]) -> dict[str, npt.NDArray[Any]]:
        """Returns the rows as arrays with the dtypes of the inputs; strings as objects.

        Args:
            specs: The inputs, as `read_interface(folder).inputs` has them.
        """
        return {name: _array(rows, specs[name]) for name, rows in self.inputs.items()}

    def check(self, answers: Mapping[str, Any]) -> float:
        """Checks answers of a loaded version to the recorded rows.

        Args:
            answers: Arrays by output: of all, or of one task.

        Returns:
            The largest difference, as a part of the larger of 1 and the recorded number.

        Raises:
            RefusedVersion: If an output is unknown, or has another shape or other numbers.
        """
        return max((self._difference(name, value) for name, value in answers.items()), default=0.0)

    def _difference(self, name: str, answer: Any) -> float:
        if name not in self.outputs:
            raise RefusedVersion(
                f"output {name!r} was not recorded; there are {sorted(self.outputs)}."
            )
        expected = np.array(self.outputs[name], np.float64)  # None becomes NaN
        received = np.asarray(answer, np.float64)
        if received.shape != expected.shape:
            raise RefusedVersion(
                f"output {name!r} has the shape {received.shape} for the recorded rows; expected "
                f"{expected.shape}."
            )
        received = np.where(np.isfinite(received), received, np.nan)
        differences = np.abs(received - expected) / np.maximum(1.0, np.abs(expected))
        both = np.isnan(received) & np.isnan(expected)
        worst = float(np.max(np.where(both, 0.0, differences), initial=0.0))
        if not worst <= self.tolerance:
            raise RefusedVersion(
                f"output {name!r} is not what was recorded at the export: the largest difference "
                f"is {worst:.3g}, and {self.tolerance:g} is allowed."
            )
        return worst


def write_recorded(folder: pathlib.Path, inputs: Rows, outputs: Rows) -> None:
    """Writes recorded.json.

    Args:
        folder: The folder of the version.
        inputs: Rows by input; strings as objects of `str` or `bytes`.
        outputs: What the exported function answered, by output.
    """
    content = {
        "tolerance": TOLERANCE,
        "inputs": {name: _lists(values) for name, values in inputs.items()},
        "outputs": {name: _lists(values) for name, values in outputs.items()},
    }
    write_json(folder / FILE, content)


def read_recorded(folder: str | os.PathLike[str]) -> Recorded:
    """Reads recorded.json of a version; needs neither Keras nor TensorFlow.

    Args:
        folder: The folder of the version.

    Raises:
        RefusedVersion: If the file is missing or incomplete.
    """
    path = pathlib.Path(folder) / FILE
    content = read_json(path)
    try:
        return Recorded(
            float(content["tolerance"]), dict(content["inputs"]), dict(content["outputs"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedVersion(f"{path} is not complete: {type(error).__name__} {error}.") from error


def _lists(values: npt.NDArray[Any]) -> Any:
    """Returns an array as nested lists that JSON can hold."""
    if values.dtype.kind in "OSU":
        return _map(values.tolist(), _text)
    if values.dtype.kind not in "biuf":  # bfloat16 and other dtypes that NumPy does not know
        values = values.astype(np.float32)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return _map(values.tolist(), lambda number: number if math.isfinite(number) else None)
    # A float32 is written with the digits that tell it from its neighbors, not as a float64.
    if values.dtype in (np.float32, np.float16):
        return _map(values.tolist(), lambda number: float(str(values.dtype.type(number))))
    return values.tolist()


def _map(values: Any, function: Any) -> Any:
    if isinstance(values, list):
        return [_map(value, function) for value in values]
    return function(values)


def _text(value: str | bytes) -> str | dict[str, str]:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _array(rows: Sequence[Any], spec: InputSpec) -> npt.NDArray[Any]:
    if spec.dtype != "string":
        dtype = "float32" if spec.dtype == "bfloat16" else spec.dtype
        return np.array(rows, dtype)
    texts = _map(list(rows), lambda v: base64.b64decode(v["b64"]) if isinstance(v, Mapping) else v)
    return np.array(texts, object)
