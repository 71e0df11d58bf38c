"""One version of a model, loaded and tried."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence

from keras_mtl.export._beside._interface import read_interface
from keras_mtl.export._beside._manifest import Manifest, check_manifest
from keras_mtl.export._beside._recorded import read_recorded
from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.export._beside._signature import verify_signature
from keras_mtl.serving._contract import Contract, make_contract
from keras_mtl.serving._runtimes._onnx import OnnxRuntime
from keras_mtl.serving._runtimes._runtime import Runtime
from keras_mtl.serving._runtimes._tensorflow import TensorFlowRuntime
from keras_mtl.serving._versions._audit_onnx import audit_onnx
from keras_mtl.serving._watching._reference import Reference, read_reference

MODEL = "model.onnx"


@dataclasses.dataclass(frozen=True)
class Version:
    """Holds a version that answers requests.

    Args:
        number: The number of the version.
        contract: What it takes and answers.
        runtime: What computes it.
        kind: The name of the runtime.
        reference: What training rows looked like, if the version says so.
    """

    number: int
    contract: Contract
    runtime: Runtime
    kind: str
    reference: Reference | None = None


def load_version(
    folder: pathlib.Path,
    threads: int = 1,
    tensorflow: bool = False,
    public_keys: Sequence[str] = (),
) -> Version:
    """Loads a version: verifies its signature and manifest, then audits, loads and tries its model.

    Args:
        folder: The folder of the version, whose name is its number. Outside of the folder of a
            model it may have any name (KServe mounts it as `/mnt/models`): the number is 0 then.
        threads: Threads of the runtime for one batch.
        tensorflow: Whether a version without a model.onnx is loaded by TensorFlow.
        public_keys: PEM files with keys, of which one must have signed the manifest.

    Raises:
        RefusedVersion: If any step fails; the reason says which.
    """
    manifest = verify_signature(folder, public_keys) if public_keys else check_manifest(folder)
    interface, reference = read_interface(folder), read_reference(folder)
    ranges = reference.ranges if reference else None
    if MODEL in manifest.files:
        contract = make_contract(interface, ranges=ranges)
        runtime: Runtime = _load_onnx(folder, manifest, contract, threads)
    elif tensorflow:
        contract = make_contract(interface, True, ranges)
        runtime = TensorFlowRuntime(folder, contract)
    else:
        raise RefusedVersion(
            f"{folder} has no {MODEL}: write it by keras_mtl.export.onnx(folder), or start the "
            "server with --tensorflow."
        )
    kind = "onnx" if MODEL in manifest.files else "tensorflow"
    number = int(folder.name) if folder.name.isdecimal() else 0
    version = Version(number, contract, runtime, kind, reference)
    _try_recorded(version, folder)
    return version


def _load_onnx(
    folder: pathlib.Path, manifest: Manifest, contract: Contract, threads: int
) -> OnnxRuntime:
    content = (folder / MODEL).read_bytes()
    # What is loaded is what was verified, even if the file changed in between.
    if hashlib.sha256(content).hexdigest() not in {file.sha256 for file in manifest.of(MODEL)}:
        raise RefusedVersion(f"{folder / MODEL} changed while it was read.")
    audit_onnx(content)
    return OnnxRuntime(content, contract, threads)


def _try_recorded(version: Version, folder: pathlib.Path) -> None:
    """Checks that the version answers the recorded rows as it did when it was written.

    This is the warm-up, too: every output is computed for all rows together, and for one alone.
    """
    recorded = read_recorded(folder)
    try:
        columns = recorded.arrays(read_interface(folder).inputs)
        answers = version.runtime.run(columns, tuple(version.contract.outputs))
        first = {name: values[:1] for name, values in columns.items()}
        version.runtime.run(first, tuple(version.contract.outputs))
    except Exception as error:  # Whatever fails here would fail for requests, too.
        raise RefusedVersion(
            f"the model fails on the rows of recorded.json ({type(error).__name__})."
        ) from error
    recorded.check(answers)
