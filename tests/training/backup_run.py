"""Trains on all workers with a backup; one worker may come to harm, once."""

import argparse
import os
import pathlib
import random
import signal
import sys
import time
from typing import Any

import keras
import numpy as np
import small_problem as problem

import keras_mtl as mtl

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}


class Harm(keras.callbacks.Callback):
    """Sends a signal to this process in the second epoch, if no process has done so before."""

    def __init__(self, number: signal.Signals, marker: pathlib.Path) -> None:
        super().__init__()
        self.number, self.marker = number, marker
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, 2) and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), self.number)
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--harm", choices=SIGNALS)
    parser.add_argument("--rule", default="DWA")
    parser.add_argument("--apart", action="store_true", help="a folder for each worker")
    parser.add_argument("--arrays", action="store_true", help="arrays that fit shuffles")
    arguments = parser.parse_args()
    cluster = mtl.training.cluster(timeout=60)
    balancer = getattr(mtl.balancers, arguments.rule)()
    with cluster.strategy.scope():
        model = mtl.BalancedModel(problem.network(), problem.tasks(), balancer)
        model.compile(keras.optimizers.Adam(0.01))
    folder = arguments.folder / (f"backup_{cluster.index}" if arguments.apart else "backup")
    backup = mtl.training.Backup(folder, every=2)
    callbacks: list[Any] = [backup]
    if arguments.harm and cluster.index == 1:
        callbacks.append(Harm(SIGNALS[arguments.harm], arguments.folder / "harmed"))
    data: dict[str, Any] = {"x": problem.dataset(5).shuffle(5, seed=4)}
    if arguments.arrays:
        data = dict(zip(("x", "y", "sample_weight"), problem.arrays(), strict=True))
        data["batch_size"] = problem.BATCH
        random.seed(cluster.index)  # only that of the first worker counts
    try:
        history = model.fit(**data, epochs=4, verbose=0, callbacks=callbacks).history
    except ValueError as error:
        sys.exit(f"ValueError: {error}")
    variables = (*model.variables, *model.optimizer.variables)
    arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
    values = {f"variable_{i:03}": array for i, array in enumerate(arrays)}
    values |= {f"log_{name}": np.array(log[-2:]) for name, log in history.items()}
    np.savez(arguments.folder / f"end_{cluster.index}.npz", **values)
    print("resumed at", backup.resumed, flush=True)


if __name__ == "__main__":
    main()
