"""Networks with variables that only `add_loss` or a regularizer reaches."""

from typing import Any

import keras
import numpy as np
import small_problem as problem
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor

KINDS = ("centers", "tower", "variance", "regularizer")


class Centers(keras.layers.Layer):
    """Draws features to the center of their class, as a center loss does."""

    def build(self, features_shape: Any, labels_shape: Any) -> None:
        self.centers = self.add_weight(shape=(3, features_shape[-1]), name="centers")

    def call(self, features: Tensor, labels: Tensor) -> Tensor:
        centers = ops.take(self.centers, ops.cast(labels[:, 0], "int32"), axis=0)
        self.add_loss(0.1 * ops.mean(ops.square(features - centers)))
        return features


class Variance(keras.layers.Layer):
    """Learns the log-variance of its features by a likelihood."""

    def build(self, shape: Any) -> None:
        self.log_variance = self.add_weight(shape=(shape[-1],), name="log_variance")

    def call(self, x: Tensor) -> Tensor:
        squares = ops.square(ops.stop_gradient(x))
        self.add_loss(ops.mean(squares * ops.exp(-self.log_variance) + self.log_variance))
        return x


class Idle(keras.layers.Layer):
    """Holds a variable that does nothing but pay a penalty."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(
            shape=(3,), initializer="ones", regularizer=keras.regularizers.L2(0.1), name="scale"
        )

    def call(self, x: Tensor) -> Tensor:
        return x


def network(kind: str) -> keras.Model:
    """Builds a network on "x" and "labels" in which a penalty alone reaches a variable."""
    keras.utils.set_random_seed(0)
    x, labels = keras.Input((4,), name="x"), keras.Input((1,), name="labels")
    features = keras.layers.Dense(6, activation="tanh", name="shared_0")(x)
    if kind == "centers":
        features = Centers(name="alone")(features, labels)
    elif kind == "variance":
        features = Variance(name="alone")(features)
    elif kind == "regularizer":
        features = Idle(name="alone")(features)
    outputs = {}
    for task in problem.tasks():
        tower = features
        if kind == "tower" and task.name == "b":
            tower = Centers(name="alone")(features, labels)
        tower = keras.layers.Dense(4, activation="tanh", name=f"{task.name}_tower")(tower)
        outputs[task.name] = task.output(tower)
    return keras.Model({"x": x, "labels": labels}, outputs)


def batch(index: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns one batch of the small problem with labels for all, and its classes as an input."""
    x, y, _ = problem.batch(index)
    labels = np.arange(len(x), dtype="float32")[:, None] % 3
    return {"x": x, "labels": labels}, y


def dataset(batches: int) -> tf.data.Dataset:
    """Returns batches of the small problem, with its weights, and its classes as an input."""
    x, y, w = problem.arrays()
    labels = np.arange(len(x), dtype="float32")[:, None] % 3
    rows = tf.data.Dataset.from_tensor_slices(({"x": x, "labels": labels}, y, w))
    return rows.batch(problem.BATCH).take(batches)
