"""Cost of a ConflictMonitor every 100 steps, relative to the training without it.

    python benchmarks/monitor_cost.py

For each case a model trains for an epoch of 400 steps with the monitor, several times. The time
inside the monitor, all of its work at the ends of steps and epochs, is divided by the rest of the
same training, so that other work of the machine affects both. The first training, in which graphs
are made, is not counted. Steps without the monitor take turns with it, for comparison.
"""

import argparse
import time

import keras
import numpy as np
import page_tables

import keras_mtl as mtl
from keras_mtl.callbacks import ConflictMonitor

STEPS, BATCH, ROUNDS = 400, 256, 5
CASES = [  # tasks, balancer, units of both shared layers, rows of a half batch, permuted rows
    (4, None, 64, 32, False),
    (4, None, 64, 32, True),
    (4, "PCGrad", 64, 32, True),
    (8, "PCGrad", 128, 32, True),
]


class Timed(ConflictMonitor):
    """Adds up the time that the monitor takes."""

    spent = 0.0

    def on_train_batch_end(self, batch, logs=None):
        start = time.perf_counter()
        super().on_train_batch_end(batch, logs)
        self.spent += time.perf_counter() - start

    def on_epoch_end(self, epoch, logs=None):
        start = time.perf_counter()
        super().on_epoch_end(epoch, logs)
        self.spent += time.perf_counter() - start


def make_model(tasks, balancer, units):
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(
        keras.Input((32,)), tasks, shared=(units, units), tower=(32,)
    )
    if balancer is None:
        network.compile("adam", **mtl.compile_args(tasks))
        return network
    model = mtl.BalancedModel(network, tasks, getattr(mtl.balancers, balancer)())
    model.compile("adam")
    return model


def measure(num_tasks, balancer, units, rows, permute):
    """Returns the milliseconds of a step without the monitor, and the shares of the monitor."""
    data = mtl.datasets.synthetic_groups(num_tasks, 2, rows=(STEPS * BATCH, 1, 1))
    model = make_model(data.tasks, balancer, units)
    train = data.train.batch(BATCH).cache()
    monitor = Timed(
        data.tasks, data.train.take(8 * rows).batch(rows), every=100, unit="steps", permute=permute
    )
    options = {"verbose": 0} if balancer else {"verbose": 0, "shuffle": False}
    shares, plain = [], []
    for turn in range(ROUNDS + 1):
        for callbacks in ([monitor], []):
            monitor.spent = 0.0
            start = time.perf_counter()
            model.fit(train, callbacks=callbacks, **options)
            seconds = time.perf_counter() - start
            if turn and callbacks:
                shares.append(monitor.spent / (seconds - monitor.spent))
            elif turn:
                plain.append(seconds / STEPS * 1e3)
    return np.median(plain), shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    page_tables.add_option(parser)
    header = ["tasks", "balancer", "units", "rows", "permuted rows"]
    header += ["step, ms", "monitor, %", "worst, %"]
    table = page_tables.Table("monitor_cost", header, parser.parse_args().record, keys=5)
    for case in CASES:
        step, shares = measure(*case)
        num_tasks, balancer, units, rows, permute = case
        kind = [num_tasks, balancer or "none", units, rows, "yes" if permute else "no"]
        percents = [100 * np.median(shares), 100 * max(shares)]
        table.add(*kind, f"{step:.1f}", *(f"{percent:.1f}" for percent in percents))
    table.keep()


if __name__ == "__main__":
    main()
