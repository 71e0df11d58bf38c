"""Networks whose layers add losses that depend on the rows of a batch."""

from collections.abc import Callable

import keras
import small_problem as problem

import keras_mtl as mtl
from keras_mtl._types import Tensor


def activity(features: Tensor) -> Tensor:
    """Penalizes activations, a mean over rows."""
    penalty = keras.regularizers.L2(0.5)
    return keras.layers.Dense(8, activation="tanh", activity_regularizer=penalty)(features)


def normalized(features: Tensor) -> Tensor:
    """Penalizes activations before and after statistics of the global batch."""
    features = keras.layers.BatchNormalization()(activity(features))
    return activity(keras.layers.Dropout(0.0)(features))


def experts(features: Tensor) -> Tensor:
    """Normalizes experts, and penalizes the gate that chooses among them."""
    bodies = [keras.layers.Dense(6)(features) for _ in range(3)]
    stacked = keras.layers.Lambda(lambda parts: keras.ops.stack(parts, -2))(bodies)
    stacked = mtl.layers.ExpertNormalization()(stacked)  # (batch, experts, units)
    weights = mtl.layers.DSelectKGate(3, 2, entropy=0.3)(features)
    product = keras.layers.Lambda(lambda pair: keras.ops.sum(pair[0] * pair[1][..., None], -2))
    return product([stacked, weights])


def orthogonal(features: Tensor) -> Tensor:
    """Penalizes products of normalized channels, the square of a mean over rows."""
    features = keras.layers.BatchNormalization()(features)
    private = keras.layers.Dense(6, activation="tanh", kernel_regularizer="l2")(features)
    private = mtl.layers.Orthogonality(1.0, name="private")([features, private])
    return keras.layers.Concatenate()([features, private])


def calibrated(features: Tensor) -> Tensor:
    """Penalizes one logit above another, a mean over the rows that no mask leaves out."""
    first, second = (keras.layers.Dense(1)(features) for _ in range(2))
    rows = keras.layers.Lambda(lambda part: part[:, None, :])
    kept = keras.layers.Masking()(rows(keras.layers.Lambda(keras.ops.relu)(second)))
    later = mtl.layers.ExpectationCalibrator(3.0, name="chain")([rows(first), kept])
    return keras.layers.Concatenate()([features, later[:, 0]])


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "activity": activity,
    "normalized": normalized,
    "experts": experts,
    "orthogonal": orthogonal,
    "calibrated": calibrated,
}


def network(kind: str) -> keras.Model:
    """Builds the network of a kind."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(8, activation="tanh")(inputs)
    features = KINDS[kind](features)
    return keras.Model(inputs, {task.name: task.output(features) for task in problem.tasks()})
