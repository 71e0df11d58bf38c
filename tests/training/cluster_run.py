"""Trains on all workers of the cluster in the environment, and writes what each one has."""

import argparse
import sys

import keras
import numpy as np
import small_problem as problem

import keras_mtl as mtl


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True, help="a path without number and suffix")
    parser.add_argument("--rule", default="PCGrad")
    parser.add_argument("--at", default="parameters")
    parser.add_argument("--wait", type=float, default=60.0)
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
    history = model.fit(problem.dataset(), verbose=0, epochs=2).history
    values = {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
    values |= {f"log_{key}": value for key, value in history.items()}
    np.savez(f"{arguments.out}_{cluster.index}", workers=len(cluster), **values)
    print("trained", len(cluster), cluster.source)


if __name__ == "__main__":
    main()
