"""A study that trains in seconds: two tasks of eight numbers, one of them with missing labels."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import Task, architectures, studies

ROWS = {"train": 96, "validation": 80, "test": 120}
SEEDS = {"train": 0, "validation": 1, "test": 2}


def make_arrays(part: str) -> tuple[Any, dict[str, Any]]:
    """Returns the inputs and labels of a part; each seventh price is missing."""
    rng = np.random.default_rng(SEEDS[part])
    x = rng.normal(size=(ROWS[part], 8)).astype("float32")
    hidden = x @ np.random.default_rng(9).normal(size=(8, 2))
    click = (hidden[:, 0] + rng.normal(size=len(x)) > 0).astype("float32")
    price = (hidden.sum(axis=1) + rng.normal(size=len(x))).astype("float32")
    price[::7] = np.nan
    return x, {"click": click, "price": price}


def make_part(part: str) -> tf.data.Dataset:
    """Returns the batches of a part, of 32 rows."""
    return tf.data.Dataset.from_tensor_slices(make_arrays(part)).batch(32)


def parts() -> list[Callable[[], tf.data.Dataset]]:
    """Returns functions that make train, validation and test."""
    return [lambda: make_part("train"), lambda: make_part("validation"), lambda: make_part("test")]


def make_tasks() -> list[Task]:
    """Returns the two tasks."""
    return [Task.binary("click", metrics=["auc"]), Task.regression("price", metrics=["mae"])]


def shared(tasks: Sequence[Task]) -> keras.Model:
    """Builds a small network with a shared body."""
    return architectures.hard_sharing(keras.Input((8,)), tasks, shared=(8,), tower=())


def run(contenders: Any, **arguments: Any) -> studies.Study:
    """Runs a small study without output."""
    settings: dict[str, Any] = {
        "budget": studies.Budget(trials=1, epochs=1, seeds=2),
        "verbose": False,
        **arguments,
    }
    return studies.compare(contenders, make_tasks(), *parts(), **settings)
