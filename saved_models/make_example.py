"""Recreates saved_models/example: a small exported network, with recorded predictions.

    python saved_models/make_example.py [folder]

The rows are made up. The network learns two tasks from four raw columns for a few epochs, so
that its predictions differ from row to row; it is here to show the format and to test serving.
"""

import json
import os
import pathlib
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_mtl as mtl

WORKERS = ["private", "public", "self-employed"]


def make_rows(count: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Makes the table columns and the labels of `count` invented people."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, count)
    hours = random.integers(0, 60, count)
    worker = random.integers(0, len(WORKERS), count)
    earns = age / 40 + hours / 30 + 0.5 * (worker == 2) + random.normal(0, 0.3, count) > 2.5
    single = age + random.normal(0, 6, count) < 28
    columns = {
        "worker": np.array(WORKERS)[worker].reshape(-1, 1),
        "age": age.astype("float32").reshape(-1, 1),
        "hours": hours.astype("float32").reshape(-1, 1),
        "weeks": random.integers(0, 53, (count, 1)),
    }
    return columns, {"never_married": single.astype("float32"), "income": earns.astype("float32")}


def make_network(tasks: list[mtl.Task], columns: dict[str, Any]) -> keras.Model:
    """Builds preprocessing, a shared layer and one tower per task, all in one graph."""
    inputs = {
        "worker": keras.Input((1,), name="worker", dtype="string"),
        "age": keras.Input((1,), name="age"),
        "hours": keras.Input((1,), name="hours"),
        "weeks": keras.Input((1,), name="weeks", dtype="int64"),
    }
    scales = {name: keras.layers.Normalization(name=f"{name}_scale") for name in ("age", "hours")}
    for name, scale in scales.items():
        scale.adapt(columns[name])
    encode = keras.layers.StringLookup(vocabulary=WORKERS, output_mode="one_hot")
    full_year = keras.layers.Discretization([26, 52], output_mode="one_hot")(inputs["weeks"])
    parts = [scale(inputs[name]) for name, scale in scales.items()]
    features = keras.layers.Concatenate()([*parts, encode(inputs["worker"]), full_year])
    shared = keras.layers.Dense(16, activation="relu", name="shared_0")(features)
    towers = {
        task.name: keras.layers.Dense(8, activation="relu", name=f"{task.name}_tower_0")(shared)
        for task in tasks
    }
    return keras.Model(inputs, {task.name: task.output(towers[task.name]) for task in tasks})


def main(folder: pathlib.Path) -> None:
    """Trains the network, exports version 1 and records its predictions."""
    keras.utils.set_random_seed(7)
    tasks = [mtl.Task.binary("never_married"), mtl.Task.binary("income")]
    columns, labels = make_rows(2048, seed=1)
    network = make_network(tasks, columns)
    network.compile(keras.optimizers.Adam(1e-2), **mtl.compile_args(tasks))
    rows, _ = make_rows(5, seed=2)
    to_tensors = {name: keras.ops.convert_to_tensor(values) for name, values in columns.items()}
    network.fit(to_tensors, labels, batch_size=64, epochs=5, verbose=0)
    path = mtl.export.saved_model(network, tasks, folder / "1")
    predictions = network.predict(
        {name: keras.ops.convert_to_tensor(values) for name, values in rows.items()}, verbose=0
    )
    recorded = {
        "inputs": {name: values.tolist() for name, values in rows.items()},
        "predictions": {name: values.tolist() for name, values in predictions.items()},
    }
    (folder / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"wrote {path} and {folder / 'recorded.json'}")


if __name__ == "__main__":
    default = pathlib.Path(__file__).parent / "example"
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default)
