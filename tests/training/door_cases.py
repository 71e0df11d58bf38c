"""Two tasks on three features, and the ways in which their data come to a model."""

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import keras_mtl as mtl

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
Batch: TypeAlias = tuple[Any, ...]
"""`(x, y)` or `(x, y, weights)`."""

ROWS, BATCH = 16, 4
X: Array = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
Y: Arrays = {"a": (X[:, 0] > 0).astype("int64"), "b": X[:, 1].copy()}
W: Arrays = {"a": np.ones(ROWS, "float32"), "b": np.ones(ROWS, "float32")}


def tasks() -> list[mtl.Task]:
    return [mtl.Task.binary("a", metrics=()), mtl.Task.regression("b", metrics=())]


def heads(inputs: Any, features: Any) -> keras.Model:
    """Returns a network with a head per task on some features."""
    return keras.Model(inputs, {task.name: task.output(features) for task in tasks()})


def dense() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), name="table")
    return heads(x, keras.layers.Dense(4, "relu")(x))


def balanced(network: keras.Model | None = None, **options: Any) -> mtl.BalancedModel:
    """Returns a compiled model that runs eagerly: for a few steps, tracing takes longer."""
    model = mtl.BalancedModel(network or dense(), tasks(), mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **options)
    return model


def plain(network: keras.Model | None = None) -> keras.Model:
    """Returns the network compiled for plain Keras."""
    network = network or dense()
    network.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **mtl.compile_args(tasks()))
    return network


class Batches(keras.utils.PyDataset):
    """Yields the batches of a list, and counts what Keras asks of it."""

    def __init__(self, batches: list[Batch], **options: Any) -> None:
        super().__init__(**options)
        self.batches = batches
        self.begun: list[int] = []
        self.ended: list[int] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]

    def on_epoch_begin(self) -> None:
        self.begun.append(1)

    def on_epoch_end(self) -> None:
        self.ended.append(1)


def cut(data: Batch) -> list[Batch]:
    """Returns the batches of arrays."""
    places = [slice(start, start + BATCH) for start in range(0, ROWS, BATCH)]
    return [keras.tree.map_structure(operator.itemgetter(place), data) for place in places]


def generator(batches: list[Batch]) -> Iterator[Batch]:
    while True:
        yield from batches


def as_dataset(batches: list[Batch]) -> tf.data.Dataset:
    """Returns the batches as one dataset; lists become tuples, as Keras makes of them."""
    rows = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    return tf.data.Dataset.from_tensor_slices(keras.tree.lists_to_tuples(rows)).batch(BATCH)


STEPS = {"steps_per_epoch": ROWS // BATCH}

FITS: dict[str, Callable[[keras.Model, list[Batch]], Any]] = {
    "PyDataset": lambda model, batches: model.fit(Batches(batches), verbose=0),
    "PyDataset in threads": lambda model, batches: model.fit(
        Batches(batches, workers=2), verbose=0
    ),
    "generator": lambda model, batches: model.fit(
        generator(batches), shuffle=False, verbose=0, **STEPS
    ),
    "tf.data": lambda model, batches: model.fit(as_dataset(batches), shuffle=False, verbose=0),
    "validation PyDataset": lambda model, batches: model.fit(
        X, Y, validation_data=Batches(batches), verbose=0
    ),
    "validation tf.data": lambda model, batches: model.fit(
        X, Y, validation_data=as_dataset(batches), verbose=0
    ),
    "validation generator": lambda model, batches: model.fit(
        X, Y, validation_data=generator(batches), validation_steps=ROWS // BATCH, verbose=0
    ),
    "evaluate PyDataset": lambda model, batches: model.evaluate(Batches(batches), verbose=0),
    "evaluate tf.data": lambda model, batches: model.evaluate(as_dataset(batches), verbose=0),
}
"""The ways of a stream into a model."""


def _joined(batches: list[Batch]) -> Batch:
    joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    return (*joined, None)[:3]


ARRAYS: dict[str, Callable[[keras.Model, list[Batch]], Any]] = {
    "fit": lambda model, batches: _fit(model, *_joined(batches)),
    "validation_data": lambda model, batches: model.fit(
        X, Y, validation_data=_joined(batches), verbose=0
    ),
    "validation_split": lambda model, batches: _fit(model, *_joined(batches), validation_split=0.5),
    "evaluate": lambda model, batches: model.evaluate(
        *_joined(batches)[:2], sample_weight=_joined(batches)[2], verbose=0
    ),
    "train_on_batch": lambda model, batches: model.train_on_batch(*_joined(batches)),
    "test_on_batch": lambda model, batches: model.test_on_batch(*_joined(batches)),
}
"""The ways of arrays into a model."""


def _fit(model: keras.Model, x: Any, y: Any, w: Any, **options: Any) -> Any:
    return model.fit(x, y, sample_weight=w, verbose=0, **options)
