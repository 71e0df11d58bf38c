"""A network whose layers differ between training and evaluation, and monitors of it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.callbacks import AffinityMonitor, ConflictMonitor

TASKS = [
    mtl.Task.regression("price", weight=0.5),
    mtl.Task.binary("click"),
    mtl.Task.regression("age"),
]
RNG = np.random.default_rng(7)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = {
    "price": X[:, 0] * X[:, 1],
    "click": (X[:, 2] > 0).astype("float32"),
    "age": X[:, 3] - X[:, 0],
}


def rows(size: int = 12, num_rows: int = 48) -> tf.data.Dataset:
    """Returns fixed rows for a monitor."""
    labels = {name: values[:num_rows] for name, values in Y.items()}
    return tf.data.Dataset.from_tensor_slices((X[:num_rows], labels)).batch(size)


def make(balancer: Any = None, optimizer: Any = "adam", dropout: float = 0.3) -> keras.Model:
    """Builds and compiles a network with batch normalization and dropout."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(dropout)(hidden)
    outputs = {
        name: keras.layers.Dense(1, name=name, activation=activation)(hidden)
        for name, activation in (("price", None), ("click", "sigmoid"), ("age", None))
    }
    network = keras.Model(inputs, outputs)
    if balancer is None:
        network.compile(optimizer, **mtl.compile_args(TASKS))
        return network
    model = mtl.BalancedModel(network, TASKS, balancer)
    model.compile(optimizer)
    return model


def monitors(**options: Any) -> list[Any]:
    """Returns one monitor of each kind."""
    return [kind(TASKS, rows(), **options) for kind in (ConflictMonitor, AffinityMonitor)]


def state(model: keras.Model) -> list[Any]:
    """Copies all variables of a model and of its optimizer."""
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


class AtEnds(keras.callbacks.Callback):
    """Calls a function of the model at the end of each epoch, and keeps its results."""

    def __init__(self, function: Callable[[keras.Model], Any]) -> None:
        super().__init__()
        self._function = function
        self.results: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Calls the function."""
        self.results.append(self._function(self.model))
