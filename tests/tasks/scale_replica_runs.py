"""Trains tasks with scales on one device and on two replicas, and prints the differences.

A process of its own: TensorFlow's devices are fixed at the start.
"""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from two_devices import one_and_two_devices

import keras_mtl as mtl

DOORS = ("plain", "Equal", "PCGrad")


def train(door: str) -> list[np.ndarray]:
    """Trains for four steps; returns the variables and the mean losses."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype("float32")
    y = {"price": np.exp(x[:, 0] + 6.0), "air": (x[:, 1:3] + 3.0) * np.array([1.0, 1e3], "f4")}
    w = {
        "price": (rng.random(20) < 0.7).astype("float32"),
        "air": (rng.random((20, 2)) < 0.7).astype("float32"),
    }
    tasks = mtl.data.fit_scales(
        (x, y, w),
        [
            mtl.Task.regression("price", scale="log"),
            mtl.Task.regression("air", columns=["no2", "co"], scale="standard"),
        ],
    )
    data = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(6)
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=(5,))
    optimizer = keras.optimizers.SGD(0.1)
    if door == "plain":
        network.compile(optimizer, **mtl.compile_args(tasks))
        history = network.fit(data, verbose=0, shuffle=False).history
    else:
        model = mtl.BalancedModel(network, tasks, getattr(mtl.balancers, door)())
        model.compile(optimizer)
        history = model.fit(data, verbose=0).history
    losses = [history[f"{name}_mean_loss"][0] for name in ("price", "air")]
    return [*(variable.numpy() for variable in network.variables), np.array(losses)]


def run() -> dict[str, float]:
    """Returns the largest difference of each way to train, from a process of its own."""
    done = subprocess.run(
        [sys.executable, str(pathlib.Path(__file__))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    differences: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return differences


def main() -> None:
    """Prints the largest difference for each way to train."""
    results = {}
    for scope, context in one_and_two_devices():
        with context:
            for door in DOORS:
                results[scope, door] = train(door)
    print(
        json.dumps(
            {
                door: max(
                    float(np.abs(one - two).max())
                    for one, two in zip(results["one", door], results["two", door], strict=True)
                )
                for door in DOORS
            }
        )
    )


if __name__ == "__main__":
    main()
