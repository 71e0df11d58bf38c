"""Trains where steps break, or penalties act alone, on some number of replicas; see `replica_runs`.

A case is "<what happens>/<balancer>/<at>/<every>".
"""

import argparse
import warnings
from typing import Any

import broken_networks
import keras
import numpy as np
import penalty_networks
import replica_runs
import small_problem as problem

import keras_mtl as mtl

CASES = (
    "shared/Equal/parameters/1",
    "r/MGDA/parameters/2",
    "centers/Equal/parameters/1",
    "normalized/PCGrad/representation/1",
    "shared/MGDA/parameters/2",
    "shared/GradDrop/parameters/1",
    "r/Equal/parameters/1",
    "r/MGDA/representation/1",
    "centers/MGDA/parameters/2",
    "normalized/Equal/parameters/1",
)


def train(case: str) -> dict[str, Any]:
    """Trains for one epoch of three batches; returns all variables and logs, by name."""
    kind, name, at, every = case.split("/")
    if kind == "centers":
        network, data = penalty_networks.network(kind), penalty_networks.dataset(3)
    else:
        network = broken_networks.network(kind)
        data = broken_networks.data(broken=True, batches=3)
    balancer = getattr(mtl.balancers, name)()
    model = mtl.BalancedModel(network, problem.tasks(), balancer, at=at, every=int(every))
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(data, verbose=0).history
    values: dict[str, Any] = {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
    values["left_out"] = list(model.left_out.values())
    return values | {f"log_{key}": value[-1] for key, value in history.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    arguments.ports = None
    warnings.simplefilter("ignore")  # of the tasks that are left out
    results: dict[str, Any] = {}
    with replica_runs.make_strategy(arguments).scope():
        for case in CASES:
            results |= {f"{case}:{key}": value for key, value in train(case).items()}
    np.savez(arguments.out, **results)


if __name__ == "__main__":
    main()
