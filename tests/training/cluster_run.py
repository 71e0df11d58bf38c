"""Trains on all workers of the cluster in the environment, and writes what each one has."""

import argparse
import sys
from typing import Any

import keras
import numpy as np
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl


def make_data(kind: str, cluster: mtl.training.Cluster) -> Any:
    """Returns all rows, or those of this worker, such that global batches have the same rows."""
    if kind == "auto":
        return problem.dataset(4).repeat()
    if kind == "off":
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return problem.dataset(4).with_options(options)
    part = problem.BATCH // len(cluster)
    rows = problem.dataset(4).repeat().unbatch().batch(part).shard(len(cluster), cluster.index)
    return cluster.strategy.distribute_datasets_from_function(lambda context: rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True, help="a path without number and suffix")
    parser.add_argument("--rule", default="PCGrad")
    parser.add_argument("--at", default="parameters")
    parser.add_argument("--wait", type=float, default=60.0)
    parser.add_argument("--data", choices=["auto", "off", "sharded"], default="auto")
    parser.add_argument("--late", action="store_true", help="use TensorFlow before")
    arguments = parser.parse_args()
    if arguments.late:
        keras.ops.ones(2)
    try:
        cluster = mtl.training.cluster(timeout=arguments.wait)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    assert mtl.training.cluster() is cluster
    assert cluster.is_chief == mtl.training.is_chief() == (cluster.index == 0)
    balancer = getattr(mtl.balancers, arguments.rule)()
    with cluster.strategy.scope():
        model = mtl.BalancedModel(problem.network(), problem.tasks(), balancer, at=arguments.at)
        model.compile(keras.optimizers.SGD(0.1))
    try:
        history = model.fit(
            make_data(arguments.data, cluster), verbose=0, epochs=2, steps_per_epoch=4
        ).history
    except ValueError as error:
        sys.exit(f"ValueError: {error}")
    values = {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
    values |= {f"log_{key}": value for key, value in history.items()}
    np.savez(f"{arguments.out}_{cluster.index}", workers=len(cluster), **values)
    print("trained", len(cluster), cluster.source)


if __name__ == "__main__":
    main()
