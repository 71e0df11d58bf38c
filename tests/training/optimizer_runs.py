"""Trains cases of `optimizer_cases`, and some of its own, on replicas and writes the results.

python optimizer_runs.py NUMBER_OF_REPLICAS OUTPUT.npz CASE...
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import optimizer_cases
import small_problem as problem
import tensorflow as tf
from small_problem import Array, Arrays

import keras_mtl as mtl


def masks(units: int = 64) -> Arrays:
    """Returns a kernel after one step, from which the masks of dropout can be read.

    The batch has two examples, one per replica: an entry of the kernel stays 0 if both drop its
    unit, and moves by the same amount for each example that keeps it.
    """
    x = keras.Input((units,))
    dropped = keras.layers.Dropout(0.5, seed=3)(x)
    tasks = [mtl.Task.regression(name, metrics=()) for name in ("b", "a")]
    zeros = {"kernel_initializer": "zeros", "use_bias": False}
    shared = keras.layers.Dense(1, name="shared", **zeros)(dropped)
    outputs = {t.name: keras.layers.Identity(name=t.name)(shared) for t in tasks}
    model = mtl.BalancedModel(keras.Model(x, outputs), tasks, mtl.balancers.MGDA())
    model.compile(keras.optimizers.SGD(1.0))
    ones = np.ones((2, 1), "float32")
    seeds = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]
    before = of_replicas(seeds)
    data = tf.data.Dataset.from_tensors((np.ones((2, units), "float32"), {"a": ones, "b": ones}))
    model.fit(data, verbose=0)
    kernel = np.array(model.network.get_layer("shared").kernel)
    return {"kernel": kernel, "seeds": np.array([before, of_replicas(seeds)])}


def of_replicas(variables: Iterable[keras.Variable]) -> list[Array]:
    """Returns the values of the variables on each replica."""
    local = tf.distribute.get_strategy().experimental_local_results
    return [np.array(value) for variable in variables for value in local(variable.value)]


def half_precision(overflow: bool) -> Arrays:
    """Takes four steps under loss scaling; with `overflow`, one of them overflows on one replica.

    There the last example of the first batch, on the last replica, has huge features, and the
    tower's kernel for them is almost 0: the gradient of the tower overflows in half precision,
    and that of the trunk does not.
    """
    keras.config.set_dtype_policy("mixed_float16")
    x = keras.Input((4,))
    h = keras.layers.Dense(8, activation="tanh", name="shared_0")(x)
    tasks = [mtl.Task.regression(name, metrics=()) for name in ("b", "a")]
    outputs = {t.name: t.output(keras.layers.Concatenate()([h, x])) for t in tasks}
    model = keras.Model(x, outputs)
    keras.config.set_dtype_policy("float32")
    for task in tasks:
        kernel = model.get_layer(f"{task.name}_logits").kernel
        if overflow:
            kernel.assign(kernel * np.array([[1.0]] * 8 + [[1e-7]] * 4, "float32"))
    model = mtl.BalancedModel(model, tasks, mtl.balancers.MGDA())
    # Clipping by the global norm would turn the overflow on one replica into one on all replicas.
    optimizer = keras.optimizers.SGD(0.01, global_clipnorm=None if overflow else 0.5)
    # The sums of half a batch overflow at other scales than those of the whole batch. These
    # scales are far from both limits.
    scale = 2.0**15 if overflow else 2.0**8
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale))
    inputs = problem.arrays()[0][: 4 * problem.BATCH].copy()
    if overflow:
        inputs[problem.BATCH - 1] = 1e4
    labels = {task.name: np.ones(len(inputs), "float32") for task in tasks}
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(problem.BATCH)
    model.fit(data, verbose=0)
    values = {v.path: np.array(v) for v in model.network.variables}
    return values | {"scale": np.array(model.optimizer.dynamic_scale)}


def main() -> None:
    replicas, out, *cases = sys.argv[1:]
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * int(replicas)
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.get_strategy()
    if len(names) > 1:
        strategy = tf.distribute.MirroredStrategy(names)
    special: dict[str, Callable[[], Arrays]] = {
        "masks": masks,
        "half precision": lambda: half_precision(False),
        "overflow": lambda: half_precision(True),
    }
    results: dict[str, Any] = {}
    with strategy.scope():
        for case in cases:
            keras.utils.set_random_seed(0)
            values = special[case]() if case in special else optimizer_cases.train(case)
            results |= {f"{case}:{path}": value for path, value in values.items()}
    np.savez(out, **results)


if __name__ == "__main__":
    main()
