"""Prints what the replicas of a step send each other: sizes of all-reduces in floats, by mode."""

import json
import sys
from typing import Any

import added_losses
import keras
import modulated_problem
import numpy as np
import small_problem
import tensorflow as tf

import keras_mtl as mtl

SIZES: list[int] = []
all_reduce = tf.distribute.ReplicaContext.all_reduce


def counted(self: Any, reduce_op: Any, value: Any, options: Any = None) -> Any:
    """Counts the floats of one replica's call."""
    if tf.get_static_value(self.replica_id_in_sync_group) in (0, None):
        dense = [v for v in tf.nest.flatten(value) if v is not None]
        SIZES.append(sum(int(np.prod(v.shape)) for v in dense))
    return all_reduce(self, reduce_op, value, options)


def data_of(tasks: Any, width: int = 6) -> tf.data.Dataset:
    y = {task.name: np.ones((8, len(task.loss_names))) for task in tasks}
    return tf.data.Dataset.from_tensors((np.ones((8, width), "float32"), y))


def count(model: Any, mode: str, data: tf.data.Dataset) -> dict[str, list[int]]:
    """Returns the sizes of messages that are counted in a step, and those that are stated."""
    tf.distribute.ReplicaContext.all_reduce = counted
    SIZES.clear()
    model.fit(data, verbose=0)
    tf.distribute.ReplicaContext.all_reduce = all_reduce
    stated = mtl.training.communication(model, replicas=2).messages[mode]
    return {"counted": list(SIZES), "stated": list(stated)}


def count_added_losses(strategy: Any) -> dict[str, dict[str, list[int]]]:
    """Counts for layers with a mean over rows, and with sums of the global batch."""
    counts = {}
    for kind in ("activity", "penalized", "calibrated"):
        with strategy.scope():
            inputs = keras.Input((4,))
            features = keras.layers.Dense(8, kernel_regularizer="l2")(inputs)
            if kind == "penalized":
                private = keras.layers.Dense(6)(features)
                features = mtl.layers.Orthogonality(1.0)([features, private])
                features = added_losses.activity(features)
            else:
                features = added_losses.KINDS[kind](features)
            tasks = [mtl.Task.regression(name, metrics=()) for name in "za"]
            network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
            model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
            model.compile("sgd")
        counts[f"losses of layers, {kind}"] = count(model, "losses", data_of(tasks, 4))
    return counts


def count_sketch(strategy: Any) -> dict[str, dict[str, list[int]]]:
    """Counts for many columns whose gradients are sketched."""
    with strategy.scope():
        columns = [f"c{k}" for k in range(130)]
        assays = mtl.Task.multilabel("assays", columns=columns, metrics=())
        tasks = [assays, mtl.Task.binary("z", metrics=())]
        network = mtl.architectures.hard_sharing(keras.Input((6,)), tasks, shared=(5,), tower=(3,))
        model = mtl.BalancedModel(
            network, tasks, mtl.balancers.MGDA(), at="representation", sketch=300
        )
        model.compile("sgd")
    return {"sketched": count(model, "representation", data_of(tasks))}


def count_modulation(strategy: Any) -> dict[str, dict[str, list[int]]]:
    """Counts for encoders whose gradients are changed, with noise."""
    counts = {}
    rules = {"losses": mtl.balancers.Equal, "parameters": mtl.balancers.MGDA}
    for mode, rule in rules.items():
        with strategy.scope():
            tasks = small_problem.tasks()
            modulate = mtl.training.GradientModulation(modulated_problem.ENCODERS, noise=True)
            network = modulated_problem.network()
            model = mtl.BalancedModel(network, tasks, rule(), modulate=modulate)
            model.compile("sgd")
        x, y, _ = small_problem.batch()
        counts[f"modulated {mode}"] = count(model, mode, tf.data.Dataset.from_tensors((x, y)))
    return counts


def main() -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    tasks = [mtl.Task.regression(name, metrics=()) for name in ("z", "b", "r", "a")]
    counts = count_added_losses(strategy) | count_sketch(strategy)
    counts |= count_modulation(strategy)
    for name, mode, rule, limit in (
        ("losses", "losses", mtl.balancers.Uncertainty, {}),
        ("representation", "representation", mtl.balancers.MGDA, {}),
        ("parameters", "parameters", mtl.balancers.MGDA, {}),
        ("clipped", "parameters", mtl.balancers.MGDA, {"clipnorm": 1.0}),
        ("merged", "parameters", mtl.balancers.TrimmedMean, {}),
    ):
        at = "parameters" if mode == "losses" else mode
        with strategy.scope():
            network = mtl.architectures.hard_sharing(
                keras.Input((6,)), tasks, shared=(9, 5), tower=(3,)
            )
            model = mtl.BalancedModel(network, tasks, rule(), at=at)
            model.compile(keras.optimizers.SGD(0.1, **limit))
        counts[name] = count(model, mode, data_of(tasks))
    json.dump(counts, sys.stdout)


if __name__ == "__main__":
    main()
