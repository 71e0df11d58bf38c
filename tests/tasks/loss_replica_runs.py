"""Trains with a loss of each kind on one device and on two replicas, and prints the differences.

A process of its own: TensorFlow's devices are fixed at the start.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from loss_table_cases import CASES, ROWS, Case
from two_devices import one_and_two_devices

import keras_mtl as mtl

KINDS = (
    "a user's elementwise loss, several",
    "CategoricalCrossentropy, one",
    "ignore_class, tokens",
    "a user's loss per example",
    "CTC",
    "Dice",
    "Dice of each image",
    "Circle",
    "a user's risk sets",
    "a user's ranking",
)
DOORS = ("plain", "PCGrad")


def make_data(case: Case, rng: np.random.Generator) -> tf.data.Dataset:
    """Returns two batches, of 6 and of 4 examples; some labels are missing."""
    labels, _ = case.draw(rng)
    shape = (2 * ROWS - 2, *labels.shape[1:])
    labels = np.concatenate([labels, labels])[: shape[0]]
    weights = (rng.random(shape[0]) < 0.7).astype("float32")
    weights[[0, 3, 6, 9]] = 1, 1, 0, 1
    x = rng.normal(size=(shape[0], *case.shape[:-1], 4)).astype("float32")
    y, w = (
        {"zoo": labels, "axis": x[..., 0]},
        {"zoo": weights, "axis": np.ones(shape[0], "float32")},
    )
    return tf.data.Dataset.from_tensor_slices((x, y, w)).batch(ROWS)


def train(case: Case, door: str) -> tuple[list[np.ndarray], float]:
    """Trains for two steps; returns the variables and the mean loss."""
    rng = np.random.default_rng(0)
    data = make_data(case, rng)
    shape = case.shape[:-1]
    second = mtl.Task("axis", head=mtl.Head(1), loss="mse", labels=mtl.Labels(shape))
    tasks = [case.task(), second]
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*shape, 4))
    features = keras.layers.Dense(5, "relu")(inputs)
    network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
    optimizer = keras.optimizers.SGD(0.1)
    if door == "plain":
        network.compile(optimizer, **mtl.compile_args(tasks))
        history = network.fit(data, verbose=0, shuffle=False).history
    else:
        model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        model.compile(optimizer)
        history = model.fit(data, verbose=0).history
    return [v.numpy() for v in network.variables], history["zoo_mean_loss"][0]


def main() -> None:
    """Prints the largest difference of variables and of the mean loss, and the loss."""
    results = {}
    for scope, context in one_and_two_devices():
        with context:
            for name in KINDS:
                for door in DOORS:
                    results[scope, name, door] = train(CASES[name], door)
    off = {}
    for name in KINDS:
        for door in DOORS:
            (one, loss), (two, other) = results["one", name, door], results["two", name, door]
            error = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
            off[f"{name}, {door}"] = [float(error), float(abs(loss - other)), float(loss)]
    print(json.dumps(off))


if __name__ == "__main__":
    main()
