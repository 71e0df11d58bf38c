"""A small export with each kind of input that other formats have to know."""

import pathlib
from typing import Any

import keras
import numpy as np

import keras_mtl as mtl

WORDS = ["Rome", "Oslo", "Zürich"]


def make_tasks() -> list[mtl.Task]:
    """Returns four tasks, one of which is served with decisions."""
    return [
        mtl.Task.binary("z", threshold=0.4),
        mtl.Task.regression("a"),
        mtl.Task.multiclass("t-1", 3),
        mtl.Task.multilabel("m", 2),
    ]


def make_network(tasks: list[mtl.Task], has_codes: bool = True) -> keras.Model:
    """Builds a network on numbers, bins, words, codes and an input that one task alone reads."""
    inputs = {
        "price": keras.Input((3,), name="price"),
        "age": keras.Input((1,), name="age"),
        "city": keras.Input((1,), name="city", dtype="string"),
        "ward": keras.Input((1,), name="ward", dtype="int64"),
        "hour": keras.Input((1,), name="hour", dtype="int32"),
    }
    cities = keras.layers.StringLookup(vocabulary=WORDS, output_mode="one_hot")
    wards = keras.layers.IntegerLookup(vocabulary=[7, -2, 1000], output_mode="one_hot")
    ages = keras.layers.Discretization([20.0, 45.5, 67.0], output_mode="one_hot")
    parts = [inputs["price"], cities(inputs["city"]), ages(inputs["age"])]
    if has_codes:
        parts.append(wards(inputs["ward"]))
    else:
        del inputs["ward"]
    shared = keras.layers.Concatenate()(parts)
    shared = keras.layers.Dense(32, "tanh", name="hidden_0")(shared)
    shared = keras.layers.Dense(32, "relu", name="hidden_1")(shared)
    hour = keras.layers.CategoryEncoding(24, output_mode="one_hot")(inputs["hour"])
    late = keras.layers.Concatenate()([shared, hour])
    return keras.Model(
        inputs, {task.name: task.output(late if task.name == "z" else shared) for task in tasks}
    )


def export_shop(folder: pathlib.Path, has_codes: bool = True) -> tuple[keras.Model, pathlib.Path]:
    """Exports the network with random biases, too; returns it with the version folder."""
    keras.utils.set_random_seed(3)
    tasks = make_tasks()
    network = make_network(tasks, has_codes)
    random = np.random.default_rng(3)
    for variable in network.trainable_variables:
        variable.assign(variable + random.normal(size=variable.shape) * 0.3)
    return network, mtl.export.saved_model(network, tasks, folder / "shop" / "1")


def shop_rows(count: int = 12) -> dict[str, Any]:
    """Returns rows with known and unknown words and codes, and numbers on boundaries of bins."""
    random = np.random.default_rng(1)
    return {
        "price": random.normal(size=(count, 3)).astype("float32"),
        "age": random.choice([19.9, 20.0, 45.5, 60.0, 67.0, 99.0], (count, 1)).astype("float32"),
        "city": random.choice(np.array([*WORDS, "nowhere", ""], object), (count, 1)),
        "ward": random.choice([7, -2, 1000, 5], (count, 1)),
        "hour": random.integers(0, 24, (count, 1)).astype("int32"),
    }


def predict(network: keras.Model, rows: dict[str, Any]) -> dict[str, Any]:
    """Returns the predictions of the network itself."""
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in rows.items()}
    predictions: dict[str, Any] = network.predict(tensors, verbose=0)
    return predictions
