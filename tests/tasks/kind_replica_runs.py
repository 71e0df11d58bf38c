"""Trains each kind of task on one device and on two replicas, and prints the differences.

A process of its own: TensorFlow's devices are fixed at the start.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from two_devices import one_and_two_devices

import keras_mtl as mtl
from keras_mtl import Task

DOORS = ("plain", "PCGrad")
BINS = [1.0, 2.0, 4.0]


def make_tasks() -> list[Task]:
    """Returns a task of each kind."""
    return [
        Task.ranking("zoo", 5, loss="listmle", metrics=["ndcg", "mrr"]),
        Task.ordinal("stars", 5, metrics=["rank_mae", "kappa"]),
        Task.ordinal("grade", 5, method="corn"),
        Task.quantiles("minutes"),
        Task.zero_inflated("spent"),
        Task.survival("relapse", BINS),
        Task.survival("axis", BINS, method="cox"),
    ]


def make_data(tasks: list[Task]) -> tf.data.Dataset:
    """Returns two batches, of 6 and of 4 examples; some labels are missing."""
    rng = np.random.default_rng(0)
    times = np.stack([rng.integers(1, 5, 10), rng.integers(0, 2, 10)], -1)
    labels = {
        "zoo": rng.integers(0, 3, (10, 5)),
        "stars": rng.integers(0, 5, 10),
        "grade": rng.integers(0, 5, 10),
        "minutes": rng.normal(size=10),
        "spent": np.maximum(rng.normal(size=10), 0),
        "relapse": times,
        "axis": times,
    }
    gaps = {name: rng.random(values.shape) < 0.2 for name, values in labels.items()}
    labels = {
        name: np.where(gaps[name], np.nan, values).astype("float32")
        for name, values in labels.items()
    }
    x = rng.normal(size=(10, 5, 4)).astype("float32")
    return mtl.data.mask_missing(tf.data.Dataset.from_tensor_slices((x, labels)).batch(6), tasks)


def train(door: str) -> tuple[list[np.ndarray], dict[str, float]]:
    """Trains for two epochs; returns the variables and the logs of the last epoch."""
    tasks = make_tasks()
    data = make_data(tasks)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    items = keras.layers.Dense(6, "tanh", name="shared")(inputs)
    pooled = keras.layers.GlobalAveragePooling1D()(items)
    outputs = {task.name: task.output(items if task.name == "zoo" else pooled) for task in tasks}
    network = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.SGD(0.05)
    if door == "plain":
        network.compile(optimizer, **mtl.compile_args(tasks))
        history = network.fit(data, verbose=0, shuffle=False, epochs=2).history
    else:
        model = mtl.BalancedModel(network, tasks, getattr(mtl.balancers, door)())
        model.compile(optimizer)
        history = model.fit(data, verbose=0, epochs=2).history
    logs = {
        f"{task.name}_{name}": float(history[f"{task.name}_{name}"][-1])
        for task in tasks
        for name in (*task.metric_names, "mean_loss")
    }
    return [v.numpy() for v in network.trainable_variables], logs


def main() -> None:
    """Prints the largest difference of variables, and that of the logs, by way to train."""
    results = {}
    for scope, context in one_and_two_devices():
        with context:
            for door in DOORS:
                results[scope, door] = train(door)
    off = {}
    for door in DOORS:
        (one, logs), (two, other) = results["one", door], results["two", door]
        error = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
        off[door] = [error, max(abs(logs[name] - other[name]) for name in logs)]
    print(json.dumps(off))


if __name__ == "__main__":
    main()
