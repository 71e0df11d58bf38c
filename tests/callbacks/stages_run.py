"""Trains in stages on some number of replicas, and writes the variables and the optimizer's."""

import sys

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.callbacks import Stage, Stages

STAGES = [
    Stage(["a"], "shared_*|a_*", epochs=1),
    Stage(["b"], "shared_*|b_*", learning_rate=0.05, epochs=2),
    Stage(epochs=1),
]


def main(replicas: int, out: str) -> None:
    if replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(cpu, devices)
        names = [device.name for device in tf.config.list_logical_devices("CPU")]
        strategy = tf.distribute.MirroredStrategy(names)
    else:
        strategy = tf.distribute.get_strategy()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype("float32")
    y = {"a": (x[:, 0] > 0).astype("float32"), "b": x[:, 1]}
    weights = {"a": np.ones(48, "float32"), "b": (rng.random(48) < 0.5).astype("float32")}
    data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(16)
    # Made here, since metrics begin to use the devices.
    tasks = [mtl.Task.binary("a"), mtl.Task.regression("b")]
    with strategy.scope():
        network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))
        model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        model.compile(keras.optimizers.Adam(0.01, epsilon=1e-3))
    model.fit(data, epochs=4, callbacks=[Stages(STAGES)], verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    np.savez(out, *[np.asarray(variable) for variable in variables])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
