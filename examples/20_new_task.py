"""A task that comes later: a trained network learns it without forgetting the others.

    python examples/20_new_task.py             # a minute on two cores

Made-up machines with eight readings. Two tasks are trained and saved. A third one comes with 300
rows that have no labels of the first two. It is added in three ways: on the frozen trunk, with
everything trained, and with everything trained near what was learned (`transfer.remember`).
A figure shows what is learned and what is forgotten.
"""

import argparse
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import keras_mtl as mtl
from keras_mtl import Task, architectures, balancers, data, transfer

OLD = [Task.regression("heat"), Task.binary("fault")]
NEW = Task.regression("noise")
TASKS = [*OLD, NEW]
DIRECTIONS = np.random.default_rng(7).normal(size=(8, 4)) / np.sqrt(8)


def make_machines(rows, seed):
    """Makes readings and labels: all depend on four products of the readings."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8)).astype("float32")
    causes = np.tanh(2 * x @ DIRECTIONS)
    heat = causes[:, 0] * causes[:, 1] + 0.1 * rng.normal(size=rows)
    fault = causes[:, 1] * causes[:, 2] > 0.1
    noise = causes[:, 2] - causes[:, 0] * causes[:, 3] + 0.1 * rng.normal(size=rows)
    return x, {"heat": heat, "fault": fault.astype("float64"), "noise": noise}


def batches(tasks, names, rows, seed):
    """Returns batches with the labels of some tasks; those of the others are missing."""
    x, labels = make_machines(rows, seed)
    known = {t.name: labels[t.name] if t in names else np.full(rows, np.nan) for t in tasks}
    dataset = tf.data.Dataset.from_tensor_slices((x, known)).shuffle(rows, seed=seed).batch(50)
    return data.mask_missing(dataset, tasks)


def train(network, tasks, dataset, epochs, **options):
    """Trains a network, and returns it."""
    model = mtl.BalancedModel(network, tasks, balancers.Equal(), **options)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(dataset, epochs=epochs, verbose=0, shuffle=False)
    return model.network


def measure(network):
    """Returns the errors of the numbers and the accuracy of the fault, on new machines."""
    x, labels = make_machines(4000, seed=2)
    answers = network.predict(x, batch_size=1000, verbose=0)
    heat, noise = (np.mean((answers[n][:, 0] - labels[n]) ** 2) for n in ("heat", "noise"))
    return heat, ((answers["fault"][:, 0] > 0.5) == labels["fault"]).mean(), noise


def main(folder, epochs=40, figure="new_task.png"):
    """Trains the old tasks, saves them, and prints a row for each way to add the new one."""
    keras.utils.set_random_seed(0)
    old_rows = batches(OLD, OLD, 2000, seed=0)
    network = architectures.hard_sharing(keras.Input((8,), name="x"), OLD, shared=(64, 32))
    file = pathlib.Path(folder, "old.keras")
    train(network, OLD, old_rows, epochs).save(file)
    new_rows = batches(TASKS, [NEW], 300, seed=1)
    axes = Figure(figsize=(6, 3.5), layout="constrained").subplots()
    print("way                     heat (error)  fault (accuracy)  noise (error)")
    for way, marker in {"frozen": "o", "everything": "s", "everything, remember": "^"}.items():
        start = keras.saving.load_model(file)
        freeze = "*" if way == "frozen" else None
        penalties = (
            [transfer.remember(start, old_rows, OLD, strength=2.0)] if "remember" in way else []
        )
        larger = transfer.add_task(start, NEW, tower=(32,), freeze=freeze)
        heat, fault, noise = measure(train(larger, TASKS, new_rows, epochs, penalties=penalties))
        print(f"{way:<24}{heat:12.3f} {fault:17.3f} {noise:14.3f}")
        axes.plot(heat, noise, marker, markersize=9, label=way)
    axes.set(xlabel="error of heat, learned before", ylabel="error of noise, the new task")
    axes.set(xlim=0, ylim=0)
    axes.legend(frameon=False)
    axes.figure.savefig(figure, dpi=120)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--epochs", type=int, default=40)
        parser.add_argument("--figure", default="new_task.png")
        main(temporary, **vars(parser.parse_args()))
