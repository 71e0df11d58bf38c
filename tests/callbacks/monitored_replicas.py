"""Trains with callbacks on some number of replicas, and writes all that they logged and left."""

import argparse
import json
import os
import tempfile
from typing import Any

import tensorflow as tf


def pause_and_refit(strategy: Any) -> dict[str, Any]:
    """Pauses a task, refits heads, and returns the weights in the end."""
    import keras
    import numpy as np
    import watched_problem as problem

    import keras_mtl as mtl

    rows = tf.data.Dataset.from_tensor_slices((problem.FIT["x"], problem.FIT["y"])).batch(16)
    held = tf.data.Dataset.from_tensor_slices(problem.FIT["validation_data"]).batch(16)
    keras.utils.set_random_seed(1)
    with strategy.scope():
        tasks = [
            mtl.Task.binary("click"),
            mtl.Task.regression("price", metrics=["mae"], weight=keras.Variable(0.5)),
        ]
        network = mtl.architectures.hard_sharing(keras.Input((5,)), tasks, shared=(16,))
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.SGD(0.3, momentum=0.9))
    folder = tempfile.mkdtemp()
    refit = mtl.callbacks.RefitHeads(rows, held, epochs=4)
    pause = mtl.callbacks.PauseTasks(tasks, patience={"price": 1}, min_delta=9.0)
    keep = mtl.callbacks.KeepBest(tasks, f"{folder}/best.weights.h5", keep=refit, metrics="loss")
    watched: dict[str, Any] = {"epochs": 4, "callbacks": [pause, keep], "verbose": 0}
    fit = model.fit(rows, validation_data=held, **watched)
    results = {f"final/{i}": np.array(v).tolist() for i, v in enumerate(network.get_weights())}
    results |= {f"refitted/{name}": list(pair) for name, pair in keep.refitted.items()}
    return {**results, "paused": fit.history["price_paused"]}


def main() -> None:
    """Trains and writes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    count = arguments.replicas
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration() for _ in range(count)],
    )
    # Only now: the losses of tasks are tensors, which fix the devices.
    import keras
    import monitored_problem as problem

    import keras_mtl as mtl

    strategy = tf.distribute.get_strategy()
    if count > 1:
        strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(count)])
    with strategy.scope():
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5)
        # Dropout draws other masks on each replica.
        model = problem.make(mtl.balancers.MGDA(), optimizer, dropout=0.0)
    monitors = problem.monitors(every=2, unit="steps")
    # The batch of the strategy is dealt out to the replicas.
    fit = model.fit(problem.rows(24), epochs=2, callbacks=monitors, verbose=0)
    results = {name: values for name, values in fit.history.items() if "/" in name}
    with strategy.scope():
        keras.utils.set_random_seed(1)
        network = mtl.architectures.mmoe(
            keras.Input((6,)), problem.TASKS, num_experts=3, expert=(4,), tower=()
        )
        gated = mtl.BalancedModel(network, problem.TASKS, mtl.balancers.MGDA())
        gated.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    gates = mtl.callbacks.GateMonitor(problem.TASKS, problem.rows(24), ablation=True)
    fit = gated.fit(problem.rows(24), epochs=2, callbacks=[gates], verbose=0)
    results |= {name: values for name, values in fit.history.items() if "/" in name}
    for name, gate in gates.records[-1]["gates"].items():
        results |= {f"{field}/{name}": gate[field] for field in ("load", "use")}
        results |= {f"rise/{name}/{task}": rise for task, rise in gate["rise"].items()}
    results |= pause_and_refit(strategy)
    with open(arguments.out, "w") as file:
        json.dump(results, file)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
