"""A model repository of Triton."""

import importlib.resources
import os
import pathlib
import re
import shutil
from typing import Any

import jinja2

from keras_mtl.export._beside._interface import read_interface
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.serving._contract import Column, Contract, make_contract
from keras_mtl.serving._settings import Limits
from keras_mtl.serving._versions._audit_onnx import audit_onnx

_TYPES = {"bool": "TYPE_BOOL", "string": "TYPE_STRING", "bfloat16": "TYPE_BF16"}
_TYPES |= {f"float{bits}": f"TYPE_FP{bits}" for bits in (16, 32, 64)}
_TYPES |= {f"int{bits}": f"TYPE_INT{bits}" for bits in (8, 16, 32, 64)}
_TYPES |= {f"uint{bits}": f"TYPE_UINT{bits}" for bits in (8, 16, 32, 64)}
_NAME = re.compile(r"[A-Za-z0-9_]+")


def write_triton(
    folder: str | os.PathLike[str],
    repository: str | os.PathLike[str],
    model: str,
    *,
    limits: Limits | None = None,
    batch_rows: int = 256,
) -> pathlib.Path:
    """Writes a version into a model repository of Triton, which runs it by ONNX Runtime.

    The configuration and the code for Triton's Python backend are made from the version: inputs
    that not all tasks read are optional, a request that names one output gets that task alone, and
    every value is checked as `python -m keras_mtl.serve` checks it. A version appears by one
    rename, so start Triton with `--model-control-mode=poll`, or load it through gRPC
    (`tritonclient.grpc`, `load_model`): through the HTTP control interface, connections would stand
    still while it loads. Call it again for each further version.

    Choose it where Triton runs already, or serves other models beside this one. Not for a single
    model of this kind: the small server is simpler, and says what is wrong with a request.
    Never let clients reach Triton itself: `/v2/repository` loads code.

    Args:
        folder: The folder of a version with a model.onnx.
        repository: The model repository.
        model: The name of the model there.
        limits: The bounds of numbers and strings.
        batch_rows: The largest number of rows that Triton computes together.

    Returns:
        The folder of the version in the repository.

    Raises:
        RefusedVersion: If the version is not whole, or has no model.onnx.
        FileExistsError: If the repository has this version.
        ValueError: If the name of the model has other signs than letters, digits and '_'.

    Example:
        >>> write_triton("saved_models/census/1", "repository", "my model")
        Traceback (most recent call last):
        ValueError: model must have letters, digits and '_' only; received 'my model'.
    """
    if not _NAME.fullmatch(model):
        raise ValueError(f"model must have letters, digits and '_' only; received {model!r}.")
    folder, home = pathlib.Path(folder), pathlib.Path(repository) / model
    manifest = check_manifest(folder)
    if "model.onnx" not in manifest.files:
        raise RefusedVersion(f"{folder} has no model.onnx; keras_mtl.export.onnx writes it.")
    audit_onnx((folder / "model.onnx").read_bytes())
    contract = make_contract(read_interface(folder))
    version = home / folder.name
    if version.exists():
        raise FileExistsError(f"{version} exists already, and a version is never overwritten.")
    limits = limits or Limits()
    hidden = pathlib.Path(repository) / f".{model}.{folder.name}.writing"
    shutil.rmtree(hidden, ignore_errors=True)
    (hidden / folder.name).mkdir(parents=True)
    for name in ("model.onnx", "outputs.json"):
        shutil.copy(folder / name, hidden / folder.name / name)
    bounds = {"number": limits.number, "string_bytes": limits.string_bytes}
    code = _render("triton_model.py", model=model, **bounds)
    (hidden / folder.name / "model.py").write_text(code, "utf-8")
    config = _render(
        "triton_config.pbtxt", model=model, batch_rows=batch_rows, **_describe(contract)
    )
    (hidden / "config.pbtxt").write_text(config, "utf-8")
    if home.exists():
        os.replace(hidden / "config.pbtxt", home / "config.pbtxt")
        os.replace(hidden / folder.name, version)
        hidden.rmdir()
    else:
        os.replace(hidden, home)
    return version


def _describe(contract: Contract) -> dict[str, Any]:
    """Returns the columns and outputs as the configuration states them."""
    columns = [
        {
            **_tensor(column),
            "optional": not all(name in contract.reads[output] for output in contract.outputs),
        }
        for name, column in contract.columns.items()
    ]
    return {"columns": columns, "outputs": [_tensor(c) for c in contract.outputs.values()]}


def _tensor(column: Column) -> dict[str, Any]:
    # Triton has no tensors of shape (rows,): a last axis of 1 is added and taken away.
    dims = [-1 if size is None else size for size in column.shape] or [1]
    return {
        "name": column.name,
        "type": _TYPES[column.dtype],
        "dims": ", ".join(map(str, dims)),
        "reshape": not column.shape,
    }


def _render(name: str, **values: Any) -> str:
    templates = importlib.resources.files("keras_mtl.serving._configurations")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string((templates / f"{name}.j2").read_text("utf-8")).render(values)
