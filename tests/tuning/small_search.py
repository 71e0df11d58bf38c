"""Three small tasks, and a search for their weights that takes little time."""

import contextlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights

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
) -> Any:
    """Runs a search of two trials, unless the arguments change that."""
    names = [task.name for task in tasks]
    arguments = {
        "objective": mtl.monitor(tasks[0], tasks[0].metric_names[0]),
        "max_trials": 2,
        **arguments,
    }
    if not isinstance(arguments["objective"], list):
        arguments = {"tuner": "random", **arguments}
    return search_task_weights(build, tasks, rows(names), rows(names, seed=1), **arguments)


@contextlib.contextmanager
def warned(pattern: str) -> Iterator[list[warnings.WarningMessage]]:
    """Checks that exactly one warning of a search matches; yields it once the block has ended.

    `pytest.warns` would raise the warnings of Keras Tuner that `setup.cfg` ignores.
    """
    matching: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield matching
    matching += [warning for warning in caught if re.search(pattern, str(warning.message))]
    assert len(matching) == 1, [str(warning.message) for warning in caught]
    assert matching[0].category is UserWarning
