"""A model of four columns as an ONNX graph made by hand, its NumPy twin, and version folders."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from keras_mtl.export._beside._interface import InputSpec, Interface, SignatureSpec, TaskSpec
from keras_mtl.export._beside._json_files import write_json
from keras_mtl.export._beside._manifest import write_manifest
from keras_mtl.export._beside._recorded import write_recorded

FILLED_AGE = 30.0
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
    "age": [[39.0], [-20.5], [None]],
    "hours": [40.0, 12.5, 0.0],
    "weeks": [[52], [0], [17]],
}
ONE_ROW = {name: values[0] for name, values in ROWS.items()}


def reference(rows: Mapping[str, Any], bias: float = 0.0) -> dict[str, Any]:
    """Returns the outputs for some rows, in float64."""
    codes = np.vectorize(lambda text: CODES.get(text, UNKNOWN))(np.array(rows["worker"], object))
    ages = np.array(rows["age"], "float64")  # None becomes NaN
    z = (
        codes
        + 0.02 * np.where(np.isnan(ages), FILLED_AGE, ages)
        + 0.01 * np.array(rows["weeks"])
        + bias
    )
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
    numbers["usual"] = FILLED_AGE
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
        node("IsNaN", ["age"], ["is_missing"]),
        node("Where", ["is_missing", "usual", "age"], ["filled"]),
        node("Mul", ["filled", "slope"], ["aged"]),
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


def interface() -> Interface:
    """Returns what outputs.json says of it."""
    every = ("never_married", "income", "income_decision", "left")
    facts: dict[str, Any] = {"columns": None, "classes": None, "logits": False, "scale": None}
    return Interface(
        {
            name: InputSpec(dtype, tuple(shape), name == "age")
            for name, (dtype, shape) in COLUMNS.items()
        },
        {
            "serving_default": SignatureSpec(tuple(COLUMNS), every),
            "never_married": SignatureSpec(tuple(SHARED), every[:1]),
            "income": SignatureSpec(tuple(SHARED), every[1:3]),
            "left": SignatureSpec(("hours",), every[3:]),
        },
        {
            task: TaskSpec(
                "number" if task == "left" else "yes or no",
                task,
                (None,) if task == "left" else (None, 1),
                "float32",
                threshold=0.5 if task == "income" else None,
                decision="income_decision" if task == "income" else None,
                **facts,
            )
            for task in ("never_married", "income", "left")
        },
    )


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
    write_json(hidden / "outputs.json", interface().to_json())
    write_recorded(hidden, rows_as_arrays(), reference(ROWS, bias))
    write_manifest(hidden)
    hidden.rename(folder)


def rows_as_arrays() -> dict[str, Any]:
    """Returns the rows as arrays of the dtypes of the columns."""
    dtypes: dict[str, Any] = {name: dtype for name, (dtype, _) in COLUMNS.items()}
    dtypes["worker"] = object
    return {name: np.array(values, dtypes[name]) for name, values in ROWS.items()}
