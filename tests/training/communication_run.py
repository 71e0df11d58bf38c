"""Prints what the replicas of a step send each other: sizes of all-reduces in floats, by mode."""

import json
import sys
from typing import Any

import keras
import numpy as np
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


def main() -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    tasks = [mtl.Task.regression(name, metrics=()) for name in ("z", "b", "r", "a")]
    counts = {}
    for mode, rule, at, limit in (
        ("losses", mtl.balancers.Uncertainty, "parameters", {}),
        ("representation", mtl.balancers.MGDA, "representation", {}),
        ("parameters", mtl.balancers.MGDA, "parameters", {}),
        ("parameters", mtl.balancers.MGDA, "parameters", {"clipnorm": 1.0}),
    ):
        with strategy.scope():
            network = mtl.architectures.hard_sharing(
                keras.Input((6,)), tasks, shared=(9, 5), tower=(3,)
            )
            model = mtl.BalancedModel(network, tasks, rule(), at=at)
            model.compile(keras.optimizers.SGD(0.1, **limit))
        x = np.ones((8, 6), "float32")
        data = tf.data.Dataset.from_tensors((x, {task.name: np.ones(8) for task in tasks}))
        tf.distribute.ReplicaContext.all_reduce = counted
        SIZES.clear()
        model.fit(data, verbose=0)
        tf.distribute.ReplicaContext.all_reduce = all_reduce
        stated = mtl.training.communication(model, replicas=2).messages[mode]
        counts[mode + " clipped" * bool(limit)] = {"counted": list(SIZES), "stated": list(stated)}
    json.dump(counts, sys.stdout)


if __name__ == "__main__":
    main()
