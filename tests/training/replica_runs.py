"""Trains with every balancer on some number of replicas and writes the results.

Each number of replicas needs a process of its own: TensorFlow's devices are fixed when it starts,
and two strategies in one process clash.
"""

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any

import added_losses
import every_balancer
import keras
import numpy as np
import rule_penalties
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

# A case is "<balancer>/<at>/<every>", sometimes with an option behind it. These are all kinds of
# balancers, both values of `at`, and reuse of weights; `--all` runs every balancer in every way.
QUICK = (
    "plain/keras",
    "RandomWeighting/parameters/1",
    "PCGrad/parameters/2",
    "MGDA/representation/1",
    "GradDrop/parameters/1/adam",
    "MGDA/parameters/2/rules",
    "losses of orthogonal/Equal",
)
# Towers that one joint layer computes, columns that a column layer parts, and so many that their
# gradients are sketched, in blocks that do not end where a replica's rows end.
TOGETHER = (
    "MGDA/parameters/1/towers",
    "CAGrad/representation/1/columns",
    "CAGrad/representation/1/sketched",
)
# Penalties of rows and of variables, and rows that a hook appends.
PENALIZED = ("MGDA/parameters/2/rules", "MoDo/parameters/1/rules")
# Losses that layers add, which depend on rows; the replicas have 8 and 7 of them.
ADDED = tuple(
    f"losses of {kind}/{name}" for kind in added_losses.KINDS for name in ("Equal", "MGDA")
)


# The last batch has 9 rows: two workers take 8 of them and 1.
UNEVEN_ROWS = 4 * problem.BATCH + 9


def cases_once() -> list[str]:
    """Returns every balancer with each place of its gradients, computed in each step."""
    pairs = [(name, way) for name in every_balancer.names() for way in every_balancer.ways(name)]
    return [f"{name}/{at}/{every}" for name, (at, every) in pairs if every == 1]


def all_cases() -> list[str]:
    cases = [
        "plain/keras",
        "MGDA/parameters/1/adam",
        "GradDrop/parameters/1/adam",
        *TOGETHER,
        *PENALIZED,
        *ADDED,
    ]
    for name in every_balancer.names():
        cases += [f"{name}/{at}/{every}" for at, every in every_balancer.ways(name)]
    return cases


def make_model(case: str) -> keras.Model:
    """Builds and compiles the model of a case, inside of the strategy's scope."""
    name, *options = case.split("/")
    if name == "plain":
        network = problem.network()
        network.compile(keras.optimizers.SGD(0.1), **mtl.compile_args(problem.tasks()))
        return network
    if name.startswith("losses of"):
        network = added_losses.network(name.removeprefix("losses of "))
        balancer = getattr(mtl.balancers, options[0])()
        model = mtl.BalancedModel(network, problem.tasks(), balancer)
        model.compile(keras.optimizers.SGD(0.02))
        return model
    at, every, *adam = options
    if adam in (["towers"], ["columns"], ["sketched"]):
        tasks = tasks_together(adam[0])
        sketched = adam == ["sketched"]
        keras.utils.set_random_seed(0)
        inputs, width = keras.Input((4,)), 64 if sketched else 16
        network = mtl.architectures.hard_sharing(inputs, tasks, shared=(width,), tower=(8,))
        rule, sketch = getattr(mtl.balancers, name)(), 300 if sketched else None
        model = mtl.BalancedModel(network, tasks, rule, at=at, sketch=sketch)
        model.compile(keras.optimizers.SGD(0.1))
        return model
    balancer = every_balancer.make(name)
    if adam == ["rules"]:
        return rule_penalties.model(balancer, at=at, every=int(every), run_eagerly=False)
    network = every_balancer.network(balancer)
    model = mtl.BalancedModel(network, problem.tasks(), balancer, at=at, every=int(every))
    # A large epsilon: where a gradient is almost 0, Adam would make large steps of its rounding.
    optimizer = keras.optimizers.Adam(0.01, epsilon=1e-3) if adam else keras.optimizers.SGD(0.1)
    model.compile(optimizer)
    return model


def tasks_together(kind: str) -> list[mtl.Task]:
    if kind == "towers":
        return [mtl.Task.binary(f"task_{k}") for k in range(8)]
    columns = [f"c{k}" for k in range(130)] if kind == "sketched" else list("cab")
    return [mtl.Task.multilabel("assays", columns=columns), mtl.Task.binary("z")]


def batches_together(tasks: Sequence[mtl.Task]) -> tf.data.Dataset:
    """Returns batches with the small problem's features, and one of them as each column's label."""
    x, _, w = problem.arrays()
    labels, weights = {}, {}
    for k, task in enumerate(tasks):
        names = task.columns or [task.name]
        of_columns = [x[:, (k + c) % 4] > 0.1 * c for c in range(len(names))]
        valid = [np.roll(w["zbr"[(k + c) % 3]], k) for c in range(len(names))]
        labels[task.name] = np.stack(of_columns, axis=1).astype("float32").squeeze()
        weights[task.name] = np.stack(valid, axis=1).squeeze()
    return tf.data.Dataset.from_tensor_slices((x, labels, weights)).batch(problem.BATCH)


def train(case: str, rows: int = 5 * problem.BATCH) -> dict[str, Any]:
    """Trains for one epoch; returns the values of all variables and logs, by name."""
    model = make_model(case)
    if case in TOGETHER:
        history = model.fit(batches_together(model.tasks), verbose=0).history
        values = {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
        return values | {f"log_{key}": value[-1] for key, value in history.items()}
    more = every_balancer.more_data(model.balancer) if "plain" not in case else {}
    data, values = problem.dataset(rows=rows), {}
    if "losses of" in case:
        data = tf.data.Dataset.from_tensor_slices(problem.arrays()).batch(15)
        evaluated = model.evaluate(data, verbose=0, return_dict=True)
        values = {f"log_evaluated_{key}": value for key, value in evaluated.items()}
    history = model.fit(data, verbose=0, **more).history
    values |= {f"variable_{i}": v.numpy() for i, v in enumerate(model.variables)}
    if "adam" in case or "plain" in case:
        predictions = model.predict(problem.dataset().map(lambda x, y, w: x), verbose=0)
        values |= {f"prediction_{task}": value for task, value in predictions.items()}
    return values | {f"log_{key}": value[-1] for key, value in history.items()}


def make_strategy(arguments: argparse.Namespace) -> tf.distribute.Strategy:
    if arguments.ports:
        workers = [f"127.0.0.1:{port}" for port in arguments.ports.split(",")]
        task = {"type": "worker", "index": arguments.worker}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        return tf.distribute.MultiWorkerMirroredStrategy()
    if arguments.replicas == 1:
        return tf.distribute.get_strategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * arguments.replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(names)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--uneven", action="store_true", help="every=1 alone, fewer rows")
    parser.add_argument("--names", help="only the cases of these balancers")
    parser.add_argument("--ports", help="the ports of all workers, one per process")
    parser.add_argument("--worker", type=int, default=0, help="the index of this worker")
    arguments = parser.parse_args()
    strategy = make_strategy(arguments)
    results: dict[str, Any] = {}
    with strategy.scope():
        cases = all_cases() if arguments.all else cases_once() if arguments.uneven else QUICK
        rows = UNEVEN_ROWS if arguments.uneven else 5 * problem.BATCH
        if arguments.names:
            cases = [case for case in cases if case.split("/")[0] in arguments.names.split(",")]
        for case in cases:
            print(case, flush=True)  # which one it was, if it is the last one
            results |= {f"{case}:{key}": value for key, value in train(case, rows).items()}
    np.savez(arguments.out, **results)


if __name__ == "__main__":
    main()
