"""One version of a model, loaded and tried."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.serving._contract import Contract, read_contract
from keras_mtl.serving._runtimes._onnx import OnnxRuntime
from keras_mtl.serving._runtimes._runtime import Runtime, numpy_dtype
from keras_mtl.serving._versions._audit_onnx import audit_onnx
from keras_mtl.serving._versions._manifest import VerifiedFolder, VersionRefused


@dataclasses.dataclass(frozen=True)
class Version:
    """Holds a version that answers requests.

    Args:
        number: The number of the version.
        contract: What it takes and answers.
        runtime: What computes it.
        kind: The name of the runtime.
    """

    number: int
    contract: Contract
    runtime: Runtime
    kind: str


def load_version(folder: pathlib.Path, threads: int = 1) -> Version:
    """Loads a version: verifies its manifest, then audits, loads and tries its model.

    Args:
        folder: The folder of the version, whose name is its number.
        threads: Threads of the runtime for one batch.

    Raises:
        VersionRefused: If any step fails; the reason says which.
    """
    files = VerifiedFolder(folder)
    try:
        contract = read_contract(files.read_json("outputs.json"))
    except ValueError as error:
        raise VersionRefused(str(error)) from error
    if "model.onnx" not in files:
        raise VersionRefused("model.onnx is missing, the only file that this server loads.")
    content = files.read("model.onnx")
    audit_onnx(content)
    version = Version(int(folder.name), contract, OnnxRuntime(content, contract, threads), "onnx")
    _try_recorded(version, files.read_json("recorded.json"))
    return version


def _try_recorded(version: Version, recorded: Mapping[str, Any]) -> None:
    """Checks that the version answers the recorded rows as it did when it was written.

    This is the warm-up, too: every output is computed for all rows together and for one alone.
    """
    contract = version.contract
    try:
        columns = {
            name: np.array(recorded["inputs"][name], numpy_dtype(column.dtype))
            for name, column in contract.columns.items()
        }
        expected = {name: np.array(recorded["outputs"][name]) for name in contract.outputs}
        tolerance = float(recorded["tolerance"])
    except (KeyError, TypeError, ValueError) as error:
        raise VersionRefused(
            f"recorded.json does not fit the model ({type(error).__name__})."
        ) from error
    for rows in (slice(None), slice(0, 1)):
        part = {name: values[rows] for name, values in columns.items()}
        try:
            answers = version.runtime.run(part, contract.outputs)
        except Exception as error:  # Whatever fails here would fail for requests, too.
            raise VersionRefused(
                f"the model fails on its recorded rows ({type(error).__name__})."
            ) from error
        for name, answer in answers.items():
            if not _agrees(answer, expected[name][rows], tolerance):
                raise VersionRefused(f"output {name!r} of recorded rows is not as recorded.")


def _agrees(answer: Any, expected: Any, tolerance: float) -> bool:
    if answer.shape != expected.shape:
        return False
    if answer.dtype == object:
        return bool((answer == expected).all())
    return bool(np.allclose(answer, expected, rtol=tolerance, atol=tolerance, equal_nan=True))
