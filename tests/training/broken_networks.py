"""Networks in which a number of the data becomes NaN, and the losses stay finite."""

from typing import Any

import keras
import numpy as np
import small_problem as problem
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor

BREAKING = 200.0


def break_large(features: Tensor) -> Tensor:
    """Makes NaN of the number `BREAKING`, while the data themselves are finite."""
    return ops.where(features < BREAKING, features, float("nan"))


def rectify(features: Tensor) -> Tensor:
    """Takes a NaN for a number below 0, as ReLU does in a graph."""
    return ops.where(features > 0.0, features, 0.0)


def network(spoiled: str, preference: bool = False) -> keras.Model:
    """Builds a network in which a NaN of the input "side" reaches one kernel behind a ReLU.

    Args:
        spoiled: `"shared"`; the task whose tower the kernel belongs to; or `"normalized"`, for
            batch normalization in place of the kernel.
        preference: Whether the network has an input for the preference of a balancer.
    """
    keras.utils.set_random_seed(0)
    x, side = keras.Input((4,), name="x"), keras.Input((2,), name="side")
    inputs: dict[str, Any] = {"x": x, "side": side}
    parts: list[Any] = [x]
    broken = break_large(side)
    if preference:
        inputs["preference"] = keras.Input((3,), name="preference")
        parts.append(inputs["preference"])
    if spoiled == "shared":
        parts.append(keras.layers.Dense(4, activation=rectify, name="shared_side")(broken))
    if spoiled == "normalized":
        parts.append(keras.layers.BatchNormalization()(broken))
    joined = keras.layers.Concatenate()(parts) if len(parts) > 1 else x
    features = keras.layers.Dense(8, activation="tanh", name="shared_0")(joined)
    outputs = {}
    for task in problem.tasks():
        tower = keras.layers.Dense(4, activation="tanh", name=f"{task.name}_tower")(features)
        if task.name == spoiled:
            beside = keras.layers.Dense(3, activation=rectify, name=f"{task.name}_side")(broken)
            tower = keras.layers.Concatenate()([tower, beside])
        outputs[task.name] = task.output(tower)
    return keras.Model(inputs, outputs)


def data(*, broken: bool, batches: int = 2, absent: str = "") -> tf.data.Dataset:
    """Returns batches with labels for all, of which the second one may break or lack a task.

    Args:
        broken: Whether a number of the second batch breaks.
        batches: How many batches.
        absent: The task without labels in the second batch.
    """
    x, y, w = problem.arrays()
    w = {name: np.ones_like(values) for name, values in w.items()}
    side = x[:, 1:3].copy()
    if broken:
        side[problem.BATCH + 3, 1] = BREAKING  # on the first of two replicas alone
    if absent:
        w[absent][problem.BATCH : 2 * problem.BATCH] = 0.0
    rows = tf.data.Dataset.from_tensor_slices(({"x": x, "side": side}, y, w))
    return rows.batch(problem.BATCH).take(batches)
