"""Trains with all monitors on some number of replicas, and writes all that they logged."""

import argparse
import json
import os

import tensorflow as tf


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
    with open(arguments.out, "w") as file:
        json.dump(results, file)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
