"""Trains with every balancer on some number of replicas and writes what came out.

A process of its own for each number of replicas: TensorFlow's devices are fixed at the start,
and two strategies in one process clash.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl

BATCH = 16


def tasks():
    return [mtl.Task.binary("z"), mtl.Task.multiclass("b", 3, weight=0.5), mtl.Task.regression("r")]


def network():
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = keras.layers.Dense(16, activation="tanh", name="shared_0")(x)
    features = keras.layers.Dense(16, activation="tanh", name="shared_1")(features)
    outputs = {}
    for task in tasks():
        tower = keras.layers.Dense(8, activation="tanh", name=f"{task.name}_tower")(features)
        outputs[task.name] = task.output(tower)
    return keras.Model(x, outputs)


def dataset():
    """Labels are missing unevenly: most of `r` in the second half of each batch, all in one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5 * BATCH, 4)).astype("float32")
    y = {
        "z": (x[:, 0] > 0).astype("float32"),
        "b": (x[:, 1] > 0).astype("int32") + (x[:, 2] > 0),
        "r": x[:, 3],
    }
    position = np.arange(len(x)) % BATCH
    w = {name: np.ones(len(x), "float32") for name in y}
    w["r"][position >= BATCH // 2] = 0.0
    w["r"][2 * BATCH : 3 * BATCH] = 0.0
    w["b"][(position < BATCH // 2) & (rng.random(len(x)) < 0.7)] = 0.0
    return tf.data.Dataset.from_tensor_slices((x, y, w)).batch(BATCH, drop_remainder=True)


def train(balancer, at, every):
    model = mtl.BalancedModel(network(), tasks(), balancer, at=at, every=every)
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(dataset(), verbose=0).history
    values = {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
    return values | {f"log_{key}": value[-1] for key, value in history.items()}


def make_balancer(name):
    cls = getattr(mtl.balancers, name)
    return cls([1.0, 2.0, 0.5]) if name == "Fixed" else cls()


def concrete_balancers():
    return [
        name
        for name in mtl.balancers.__all__
        if not getattr(mtl.balancers, name).__module__.endswith("_base")
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--balancers", default="")
    arguments = parser.parse_args()
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * arguments.replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    strategy = tf.distribute.get_strategy()
    if arguments.replicas > 1:
        names = [device.name for device in tf.config.list_logical_devices("CPU")]
        strategy = tf.distribute.MirroredStrategy(names)
    results = {}
    chosen = arguments.balancers.split(",") if arguments.balancers else None
    with strategy.scope():
        for name in concrete_balancers():
            if chosen and name not in chosen:
                continue
            for at, every in (("parameters", 1), ("representation", 1), ("parameters", 2)):
                for key, value in train(make_balancer(name), at, every).items():
                    results[f"{name}/{at}/{every}/{key}"] = value
    np.savez(arguments.out, **results)


if __name__ == "__main__":
    main()
