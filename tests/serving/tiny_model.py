"""A model of four columns as an ONNX graph made by hand, its NumPy twin, and version folders."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

CODES = {"private": 0.5, "public": -0.25}
UNKNOWN = 0.125
COLUMNS: dict[str, tuple[str, list[int | None]]] = {
    "worker": ("string", [None, 1]),
    "age": ("float32", [None, 1]),
    "hours": ("float32", [None]),
    "weeks": ("int64", [None, 1]),
}
SHARED = ["worker", "age", "weeks"]
ROWS: dict[str, list[Any]] = {
    "worker": [["private"], ["public"], ["never seen"]],
    "age": [[39.0], [-20.5], [61.0]],
    "hours": [40.0, 12.5, 0.0],
    "weeks": [[52], [0], [17]],
}
ONE_ROW = {name: values[0] for name, values in ROWS.items()}


def reference(rows: Mapping[str, Any], bias: float = 0.0) -> dict[str, Any]:
    """Returns the outputs for some rows, in float64."""
    codes = np.vectorize(lambda text: CODES.get(text, UNKNOWN))(np.array(rows["worker"], object))
    z = codes + 0.02 * np.array(rows["age"]) + 0.01 * np.array(rows["weeks"]) + bias
    return {
        "never_married": 1 / (1 + np.exp(z)),
        "income": 1 / (1 + np.exp(-z)),
        "income_decision": (z > 0).astype("int32"),
        "left": 40 - np.array(rows.get("hours", [])),
    }


def graph(bias: float = 0.0) -> onnx.ModelProto:
    """Returns the graph with which an export of such a network would answer."""
    types = {"string": TensorProto.STRING, "float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(name, types[dtype], ["rows", *shape[1:]])
        for name, (dtype, shape) in COLUMNS.items()
    ]
    outputs = [
        helper.make_tensor_value_info("never_married", TensorProto.FLOAT, ["rows", 1]),
        helper.make_tensor_value_info("income", TensorProto.FLOAT, ["rows", 1]),
        helper.make_tensor_value_info("income_decision", TensorProto.INT32, ["rows", 1]),
        helper.make_tensor_value_info("left", TensorProto.FLOAT, ["rows"]),
    ]
    numbers = {"slope": 0.02, "rate": 0.01, "bias": bias, "zero": 0.0, "full": 40.0}
    node = helper.make_node
    nodes = [
        node(
            "LabelEncoder",
            ["worker"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=list(CODES),
            values_floats=list(CODES.values()),
            default_float=UNKNOWN,
        ),
        node("Mul", ["age", "slope"], ["aged"]),
        node("Cast", ["weeks"], ["weeks_float"], to=TensorProto.FLOAT),
        node("Mul", ["weeks_float", "rate"], ["worked"]),
        node("Sum", ["code", "aged", "worked", "bias"], ["z"]),
        node("Neg", ["z"], ["minus_z"]),
        node("Sigmoid", ["minus_z"], ["never_married"]),
        node("Sigmoid", ["z"], ["income"]),
        node("Greater", ["z", "zero"], ["is_above"]),
        node("Cast", ["is_above"], ["income_decision"], to=TensorProto.INT32),
        node("Sub", ["full", "hours"], ["left"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in numbers.items()
    ]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    body = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


def outputs_json() -> dict[str, Any]:
    """Returns the content of outputs.json."""
    every = ["never_married", "income", "income_decision", "left"]
    return {
        "format": 1,
        "inputs": {
            name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in COLUMNS.items()
        },
        "signatures": {
            "serving_default": {"inputs": list(COLUMNS), "outputs": every},
            "never_married": {"inputs": SHARED, "outputs": ["never_married"]},
            "income": {"inputs": SHARED, "outputs": ["income", "income_decision"]},
            "left": {"inputs": ["hours"], "outputs": ["left"]},
        },
        "tasks": {
            "never_married": {"kind": "binary", "shape": [None, 1], "dtype": "float32"},
            "income": {"kind": "binary", "shape": [None, 1], "dtype": "float32", "threshold": 0.5},
            "left": {"kind": "regression", "shape": [None], "dtype": "float32"},
        },
    }


def write_version(folder: pathlib.Path, bias: float = 0.0, model: bytes | None = None) -> None:
    """Writes a whole version; it appears by one rename.

    Args:
        folder: The folder of the version.
        bias: A number that differs between versions.
        model: The bytes of model.onnx, if not those of `graph`.
    """
    hidden = folder.with_name(f".{folder.name}.writing")
    hidden.mkdir(parents=True)
    content = graph(bias).SerializeToString() if model is None else model
    (hidden / "model.onnx").write_bytes(content)
    (hidden / "outputs.json").write_text(json.dumps(outputs_json()))
    answers = {name: values.tolist() for name, values in reference(ROWS, bias).items()}
    recorded = {"format": 1, "tolerance": 1e-5, "inputs": ROWS, "outputs": answers}
    (hidden / "recorded.json").write_text(json.dumps(recorded))
    write_manifest(hidden)
    hidden.rename(folder)


def write_manifest(folder: pathlib.Path) -> None:
    """Writes the manifest of a folder for the files that it has now."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = path.relative_to(folder).as_posix()
            files[name] = {"sha256": digest, "bytes": path.stat().st_size}
    content = {"format": 1, "created": "2026-01-01T00:00:00Z", "versions": {}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(content))
