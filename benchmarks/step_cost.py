"""Cost of a balanced step, relative to a step of stock Keras on the same network.

    python benchmarks/step_cost.py                 # every balancer, K = 2, 4, 8, two networks
    python benchmarks/step_cost.py --tasks 4 --networks trunk --balancers PCGrad,MGDA

A variant and stock Keras take turns of a few steps in one process, in a new random order per
round, and the medians of their turns are compared, so that other work of the machine affects
both equally. Only these two models are alive: with two dozen, the ratio of equal models spreads
by a tenth. Losses, optimizer (Adam) and batches are the same; no metrics.
"""

import argparse
import ctypes
import gc
import time
from pathlib import Path

import keras
import numpy as np
import page_tables
import tensorflow as tf

import keras_mtl as mtl

BATCH, FEATURES = 256, 512
NETWORKS = {
    "trunk": {"shared": (512, 512, 512, 512), "tower": (32,)},
    "tower": {"shared": (128,), "tower": (512, 512)},
}
STATUS = Path("/proc/self/status")

PLACES = ("parameters", "representation")


def make_tasks(count):
    kinds = [mtl.Task.binary, mtl.Task.regression]
    return [kinds[k % 2](f"task_{k}", metrics=()) for k in range(count)]


def make_network(kind, tasks):
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(keras.Input((FEATURES,)), tasks, **NETWORKS[kind])


def make_stock(kind, tasks):
    network = make_network(kind, tasks)
    network.compile("adam", loss={task.name: task.loss for task in tasks})
    return network


def make_balanced(kind, tasks, name, at, every):
    balancer = make_balancer(name, len(tasks))
    model = mtl.BalancedModel(make_network(kind, tasks), tasks, balancer, at=at, every=every)
    model.compile("adam")
    return model


def make_balancer(name, count):
    arguments = {
        "Fixed": lambda: {"weights": [1.0] * count},
        "Schedule": lambda: {"weights": [1.0] * count},
        "CRMOGM": lambda: {"balancer": mtl.balancers.MGDA()},
        "ParetoMTL": lambda: {"preferences": np.eye(count).tolist(), "index": 0},
    }
    return getattr(mtl.balancers, name)(**arguments.get(name, dict)())


def variants(names, periods):
    for name in names:
        cls = getattr(mtl.balancers, name)
        losses_only = issubclass(cls, mtl.balancers.LossBalancer)
        by_variables = cls.needs.per_entry_state or cls.needs.samples > 1
        for at in ("parameters",) if losses_only or by_variables else PLACES:
            for every in periods:
                yield name, "losses" if losses_only else at, every


def batches(tasks):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, FEATURES)).astype("float32")
    y = {task.name: (x[:, k] > 0).astype("float32") for k, task in enumerate(tasks)}
    return tf.data.Dataset.from_tensors((x, y)).cache().repeat()


class Timed:
    """Holds a model with its own iterator, and times turns of `steps` steps."""

    def __init__(self, model, data):
        self.model, self.iterator, self.turns = model, iter(data), []
        model.make_train_function()
        start = time.perf_counter()
        self.steps(1)
        self.trace = time.perf_counter() - start
        before = reset_peak()
        self.steps(11)
        self.peak = peak() - before

    def steps(self, count):
        for _ in range(count):
            self.model.train_function(self.iterator)

    def turn(self, count):
        start = time.perf_counter()
        self.steps(count)
        self.turns.append((time.perf_counter() - start) / count)

    @property
    def seconds(self):
        return float(np.median(self.turns))


def _status(field):
    if not STATUS.exists():
        return 0.0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def reset_peak():
    """Forgets the peak of the resident memory so far; returns what is resident, in MiB."""
    gc.collect()
    if STATUS.exists():
        ctypes.CDLL(None).malloc_trim(0)  # or a step takes what the first one left behind
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak():
    return _status("VmHWM")


def target(at, every, count, full):
    if at == "losses":
        return 1.10
    if every > 1:
        return 1 + 0.15 * (full - 1)
    return 1.15 if at == "representation" else 0.85 * (2 + 4 * count) / 6


def compared(stock, variant, turns, steps, order):
    """Returns the seconds per step of both, over the same rounds."""
    stock.turns.clear()
    for _ in range(turns):
        for model in order.permutation([stock, variant]):
            model.turn(steps)
    return stock.seconds, variant.seconds


def measure(kind, count, names, turns, steps, periods):
    """Prints what each step costs; returns its ratio and goal by name, place and period."""
    tasks = make_tasks(count)
    data = batches(tasks)
    stock = Timed(make_stock(kind, tasks), data)
    print(
        f"\n{kind}-bound network, K = {count}: stock Keras: first step {stock.trace:.1f} s, "
        f"peak memory of steps {stock.peak:.0f} MiB"
    )
    print(
        f"{'balancer':16} {'at':15} {'every':>5} {'stock ms':>9} {'ratio':>6} {'goal':>6} "
        f"{'first s':>8} {'MiB':>6}"
    )
    order, full, costs = np.random.default_rng(0), 0.0, {}
    for name, at, every in variants(names, periods):
        where = "parameters" if at == "losses" else at
        variant = Timed(make_balanced(kind, tasks, name, where, every), data)
        plain, seconds = compared(stock, variant, turns, steps, order)
        ratio = seconds / plain
        full = ratio if every == 1 else full
        goal = 1.05 if name in ("Equal", "Fixed") else target(at, every, count, full)
        print(
            f"{name:16} {at:15} {every:5d} {1e3 * plain:9.1f} {ratio:6.2f} {goal:6.2f} "
            f"{variant.trace:8.1f} {variant.peak:6.0f}" + ("" if ratio <= goal else "  over"),
            flush=True,
        )
        costs[name, at, every] = f"{ratio:.2f}", f"{goal:.2f}"
        del variant
        gc.collect()
    return costs


def add_places(costs, record):
    """Prints the ratios at one number of tasks: a row per balancer, a column per place."""
    places = ("losses", "representation", "parameters")
    table = page_tables.Table("step_cost", ["balancer", *places], record)
    for name in sorted({name for name, _, _ in costs}):
        table.add(f"`{name}`", *(costs.get((name, at, 1), ("",))[0] for at in places))
    table.keep()


def add_counts(kind, by_count, record):
    """Prints the ratios by number of tasks: a row per step, a column per number."""
    header = ["step", *(f"K = {count}" for count in by_count), "goal"]
    table = page_tables.Table(f"step_cost_{kind}", header, record)
    for step in next(iter(by_count.values())):
        name, at, every = step
        where = "" if at == "losses" else f', at="{at}"'
        often = "" if every == 1 else f", every={every}"
        ratios, goals = zip(*(costs[step] for costs in by_count.values()), strict=True)
        goal = goals[0] if len({*goals}) == 1 else ", ".join(goals)
        table.add(f"`{name}`{where}{often}", *ratios, goal)
    table.keep()


def main():
    classes = {name: getattr(mtl.balancers, name) for name in mtl.balancers.__all__}
    every = [
        name
        for name, cls in classes.items()
        # The last two need a network, or data, of another kind.
        if "._base." not in cls.__module__ and not (cls.needs.preference or cls.needs.second_batch)
    ]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default="2,4,8")
    parser.add_argument("--networks", default="trunk,tower")
    parser.add_argument("--balancers", default=",".join(every))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps per turn; a multiple of 10")
    parser.add_argument("--every", default="1,10", help="1 first: the goals of others follow it")
    page_tables.add_option(parser)
    arguments = parser.parse_args()
    periods = [int(period) for period in arguments.every.split(",")]
    names = arguments.balancers.split(",")
    for kind in arguments.networks.split(","):
        by_count = {}
        for count in map(int, arguments.tasks.split(",")):
            by_count[count] = measure(kind, count, names, arguments.turns, arguments.steps, periods)
            keras.backend.clear_session()
        print()
        if kind == "trunk" and [*by_count] == [4]:
            add_places(by_count[4], arguments.record)
        else:
            add_counts(kind, by_count, arguments.record and [*by_count] == [2, 4, 8])


if __name__ == "__main__":
    main()
