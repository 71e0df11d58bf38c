"""Two modalities of two features each: a head for each of them, and a task that reads both."""

from typing import Any

import keras
import small_problem as problem

import keras_mtl as mtl

ENCODERS = {"z": "left_*", "b": "right_0|right_1"}


def network() -> keras.Model:
    """Returns a network whose task `z` reads the left modality, `b` the right one, `r` both."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    parts = {}
    for side, columns in (("left", slice(0, 2)), ("right", slice(2, 4))):
        features = x[:, columns]
        for i in range(2):
            dense = keras.layers.Dense(6, activation="tanh", name=f"{side}_{i}")
            features = dense(features)
        parts[side] = features
    read = {
        "z": parts["left"],
        "b": parts["right"],
        "r": keras.layers.Concatenate(name="both")([*parts.values()]),
    }
    outputs = {task.name: task.output(read[task.name]) for task in problem.tasks()}
    return keras.Model(x, outputs)


def model(balancer: Any = None, *, optimizer: Any = None, **options: Any) -> mtl.BalancedModel:
    """Builds and compiles a model of the network; without options, with a modulation."""
    options.setdefault("modulate", mtl.training.GradientModulation(ENCODERS, alpha=0.5))
    built = mtl.BalancedModel(
        network(), problem.tasks(), balancer or mtl.balancers.Equal(), **options
    )
    built.compile(optimizer or keras.optimizers.SGD(0.1), run_eagerly=True)
    return built
