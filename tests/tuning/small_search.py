"""Three small tasks, and a search for their weights that takes little time."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.tuning import SearchResult, search_task_weights

TASKS = [
    mtl.Task.regression("z"),
    mtl.Task.binary("a", metrics=["accuracy"]),
    mtl.Task.regression("m"),
]


def rows(names: Iterable[str], count: int = 8, seed: int = 0) -> tf.data.Dataset:
    """Makes a dataset of random rows with one label per task."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3)).astype("float32")
    y = {name: (x[:, 0] > 0).astype("float32") for name in names}
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def build(tasks: Sequence[mtl.Task]) -> keras.Model:
    """Builds and compiles a network of one head per task."""
    x = keras.Input((3,))
    network = keras.Model(x, {task.name: task.output(x) for task in tasks})
    # Eager steps: a trial has two steps, which take less time than tracing one step.
    network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
    return network


def search(
    tasks: Sequence[mtl.Task] = TASKS,
    build: Callable[..., keras.Model] = build,
    **arguments: Any,
) -> SearchResult:
    """Runs a search of two random trials, unless the arguments change that."""
    names = [task.name for task in tasks]
    arguments = {
        "objective": mtl.monitor(tasks[0], tasks[0].metric_names[0]),
        "tuner": "random",
        "max_trials": 2,
        **arguments,
    }
    return search_task_weights(build, tasks, rows(names), rows(names, seed=1), **arguments)
