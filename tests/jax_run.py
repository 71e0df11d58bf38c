"""Trains each architecture and asks each rule for weights, under `KERAS_BACKEND=jax`."""

import json
import sys
import traceback
from typing import Any

import keras
import numpy as np

import keras_mtl as mtl
from keras_mtl import architectures, balancers

ROWS, FEATURES = 16, 8


def tasks_of(name: str) -> list[mtl.Task]:
    names = ("click", "buy", "stay") if name == "cascade" else ("click", "buy")
    return [mtl.Task.binary(task, metrics=()) for task in names]


def train(name: str) -> float | str:
    """Returns the loss after three steps, or `"takes other inputs"` for builders of maps."""
    keras.utils.set_random_seed(0)
    tasks = tasks_of(name)
    try:
        network = getattr(architectures, name)(keras.Input((FEATURES,)), tasks)
    except (TypeError, ValueError) as error:
        return f"refused: {error}"
    network.compile(keras.optimizers.SGD(0.1), **mtl.compile_args(tasks))
    x = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype("float32")
    y = {task.name: (x[:, i] > 0).astype("float32") for i, task in enumerate(tasks)}
    return float(network.fit(x, y, epochs=3, batch_size=ROWS, verbose=0).history["loss"][-1])


def weigh(name: str) -> list[float] | str:
    """Returns the rule's weights for the Gramian of three gradients."""
    make = getattr(balancers, name)
    if not (isinstance(make, type) and issubclass(make, balancers.GramianBalancer)):
        return "no rule on the Gramian"
    try:
        rule = make()
    except TypeError as error:
        return f"refused: {error}"
    gradients = np.array([[-4, 1, 1], [6, 1, 1], [1, 2, 0]], "float32")
    weights = rule.weigh(gradients @ gradients.T, np.ones(3, "float32"))
    return [float(weight) for weight in weights]


def main() -> None:
    results: dict[str, Any] = {"backend": keras.backend.backend()}
    for room, run in ((architectures, train), (balancers, weigh)):
        for name in room.__all__:
            try:
                if callable(getattr(room, name)):
                    results[f"{room.__name__.rpartition('.')[2]}.{name}"] = run(name)
            except Exception:
                results[name] = traceback.format_exc(limit=-4)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
