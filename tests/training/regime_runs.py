"""Trains in every regime on some number of replicas and writes the results."""

import argparse
from typing import Any

import numpy as np
import regime_cases as cases
import tensorflow as tf


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    strategy = tf.distribute.get_strategy()
    if arguments.replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * arguments.replicas
        )
        names = [device.name for device in tf.config.list_logical_devices("CPU")]
        strategy = tf.distribute.MirroredStrategy(names)
    results: dict[str, Any] = {}
    kinds = list(cases.BALANCERS)
    with strategy.scope():
        for number, name in enumerate(cases.CASES):
            for kind, optimizer in ((kinds[number % 3], None), (kinds[(number + 1) % 3], "AdamW")):
                model = cases.trained(name, kind, optimizer=optimizer and cases.adamw())
                values = cases.values(model)
                results |= {f"{name}/{kind}/{optimizer}/{i}": v for i, v in enumerate(values)}
    np.savez(arguments.out, **results)


if __name__ == "__main__":
    main()
