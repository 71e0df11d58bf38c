"""Networks of several kinds with data, and their gradients by a plain tape."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl

RNG = np.random.default_rng(3)
ROWS = 48
X = RNG.normal(size=(ROWS, 6)).astype("float32")
ASSAYS = ("first", "second", "third")


def squared_log(y_true: Any, y_pred: Any) -> Any:
    """Computes a loss that Keras has not."""
    return keras.ops.mean(keras.ops.log1p((y_pred - y_true) ** 2), axis=-1)


PRICE = mtl.Task.regression("price", weight=0.5)
CLICK = mtl.Task.binary("click")
AGE = mtl.Task("age", head=mtl.Task.regression("age").head, loss=squared_log)
TASKS = (PRICE, CLICK, AGE)
LABELS = {
    "price": X[:, 0] * X[:, 1],
    "click": (X[:, 2] > 0).astype("float32"),
    "age": X[:, 3] - X[:, 0],
    "tox": (RNG.normal(size=(ROWS, 3)) + X[:, :3] > 0).astype("float32"),
}
WEIGHTS = {
    "price": np.where(np.arange(ROWS) % 3 == 0, 0.0, 1.0).astype("float32"),  # some are missing
    "click": RNG.uniform(0.5, 2, ROWS).astype("float32"),
    "age": np.ones(ROWS, "float32"),
    "tox": (RNG.uniform(size=(ROWS, 3)) > 0.3).astype("float32"),
}


def batches(tasks: Sequence[mtl.Task], size: int = 12, weighted: bool = True) -> Any:
    """Returns the rows as batches for some tasks."""
    labels = {task.name: LABELS[task.name] for task in tasks}
    weights = {task.name: WEIGHTS[task.name] for task in tasks}
    data = (X, labels, weights) if weighted else (X, labels)
    return tf.data.Dataset.from_tensor_slices(data).batch(size)


def plain(tasks: Sequence[mtl.Task]) -> keras.Model:
    """Builds hard sharing by this package."""
    return mtl.architectures.hard_sharing(keras.Input((6,)), tasks, shared=(8,), tower=(4,))


def of_a_user(tasks: Sequence[mtl.Task]) -> keras.Model:
    """Builds a network without this package, whose layers differ between training and not."""
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.5, seed=4)(hidden)
    hidden = keras.layers.Dense(5, activation="relu")(hidden)
    sigmoid = {"click": "sigmoid"}
    outputs = {
        t.name: keras.layers.Dense(1, activation=sigmoid.get(t.name), name=t.name)(hidden)
        for t in tasks
    }
    return keras.Model(inputs, outputs)


def tied(tasks: Sequence[mtl.Task]) -> keras.Model:
    """Builds towers that call one layer, so that gradients alone tell what is shared."""
    inputs = keras.Input((6,))
    twice = keras.layers.Dense(5, activation="tanh", name="twice")
    outputs = {}
    for task in tasks:
        private = keras.layers.Dense(6, activation="tanh")(inputs)
        sigmoid = "sigmoid" if task.name == "click" else None
        head = keras.layers.Dense(1, activation=sigmoid, name=task.name)
        outputs[task.name] = head(twice(private))
    return keras.Model(inputs, outputs)


def plain_losses(network: keras.Model, tasks: Sequence[mtl.Task], batch: Any) -> list[Any]:
    """Computes each loss, times the task's weight, by its definition."""
    x, y, w = batch
    predictions = network(x, training=False)
    losses = []
    for task in tasks:
        prediction, label = predictions[task.name], y[task.name]
        if task.name in ("price", "age", "click"):
            prediction = tf.reshape(prediction, (-1,))
        if task.name == "price":
            values = (prediction - label) ** 2
        elif task.name == "age":
            values = tf.math.log1p((prediction - label) ** 2)
        else:
            values = -label * tf.math.log(prediction) - (1 - label) * tf.math.log(1 - prediction)
        of_task = w[task.name]
        means = tf.reduce_sum(values * of_task, 0) / tf.reduce_sum(of_task, 0)
        losses += [task.weight * loss for loss in tf.unstack(tf.reshape(means, (-1,)))]
    return losses


def plain_gradients(
    network: keras.Model, tasks: Sequence[mtl.Task], batch: Any, shared: Sequence[Any]
) -> Any:
    """Computes the gradients `[K, n]` of some variables, one tape for each loss."""
    rows = []
    for k in range(sum(len(task.loss_names) for task in tasks)):
        with tf.GradientTape() as tape:
            loss = plain_losses(network, tasks, batch)[k]
        gradients = tape.gradient(loss, [variable.value for variable in shared])
        pairs = zip(shared, gradients, strict=True)
        parts = [np.zeros(v.shape) if g is None else np.asarray(g) for v, g in pairs]
        rows.append(np.concatenate([part.ravel() for part in parts]))
    return np.array(rows, np.float64)


def state(*holders: Any) -> list[Any]:
    """Copies all variables of models and optimizers."""
    return [np.array(variable.value) for holder in holders for variable in holder.variables]
