"""Time until training begins with many tasks: fifty named ones, a thousand columns.

    python benchmarks/many_tasks.py                          # every table
    python benchmarks/many_tasks.py --tasks 8 50 --columns --spread   # named tasks alone
    python benchmarks/many_tasks.py --tasks --columns --spread 100 300 1000
    python benchmarks/many_tasks.py --tasks --spread --balancers \\
        "MGDA at representation" "MGDA at representation, sketch 4096"
    python benchmarks/many_tasks.py --directions 2048 4096 8192 16384   # what a sketch changes

Each figure is that of a process of its own, which begins anew; kinds take turns, and the median
of `--runs` counts. `first` is from the first line that builds the network to the end of the first
step, in seconds of wall time; `step` is the median of 30 further steps in milliseconds.

Named tasks: binary, on a trunk of 64 units, each with a tower of 32 units and an AUC. `stock` is
plain Keras with a tower of its own layers for each; `apart` is the same network in `BalancedModel`,
`together` the one that the builder makes of units. Columns: binary, on a trunk of 2 x 256 units,
each with a tower of 32 units, two stacked einsum layers in all cases. `stock` has one plain Keras
loss and one AUC, the others the loss of each column and its AUC; labels are one for all, or, with
`--labels varied`, their own. Spread: binary columns of one
`Dense` layer on a trunk of 2 x 256 units, without metrics, and rules on gradients at the
representation, with a label of its own for each column (noisy signs of random mixtures of the
inputs), or, with `--labels same`, one label for all, which makes the gradients nearly dependent.
Directions: for such columns with towers, the cosine of a rule's direction from a sketch with its
exact one, at the start and after 30 steps of `Equal`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
import page_tables
import tensorflow as tf

import keras_mtl as mtl

BATCH, FEATURES, STEPS = 256, 64, 31


class FirstStep(keras.callbacks.Callback):
    """Records when each step ended."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())


def varied(x, count):
    """Returns labels of columns that depend on the inputs in different ways."""
    rng = np.random.default_rng(1)
    mixtures = x @ rng.normal(size=(FEATURES, count)) + 8 * rng.normal(size=(len(x), count))
    return (mixtures > 0).astype("float32")


def batches(labels):
    x = np.random.default_rng(0).normal(size=(BATCH, FEATURES)).astype("float32")
    dataset = tf.data.Dataset.from_tensors((x, labels(x, (x[:, :1] > 0).astype("float32"))))
    return dataset.repeat(STEPS).apply(tf.data.experimental.assert_cardinality(STEPS)).cache()


def separate_tower(features):
    return keras.layers.Dense(32, activation="relu")(features)


def named(kind, count):
    """Builds a compiled model of that many named tasks."""
    tasks = [mtl.Task.binary(f"task_{i}") for i in range(count)]
    tower = (32,) if kind == "together" else separate_tower
    inputs = keras.Input((FEATURES,))
    network = mtl.architectures.hard_sharing(inputs, tasks, shared=(64,), tower=tower)
    if kind == "stock":
        names = [task.name for task in tasks]
        metrics = {name: [keras.metrics.AUC(name="auc")] for name in names}
        network.compile("adam", dict.fromkeys(names, "binary_crossentropy"), metrics=metrics)
        return network
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile("adam")
    return model


def stacked_towers(count):
    """Returns a part that computes all columns; every column has a tower of 32 units."""

    def part(features):
        hidden = keras.layers.EinsumDense("bi,iku->bku", (count, 32), "relu", bias_axes="ku")
        out = keras.layers.EinsumDense("bku,ku->bk", (count,), "sigmoid", bias_axes="k")
        return out(hidden(features))

    return part


def columns(kind, count):
    """Builds a compiled model of that many columns; `kind` is `stock`, or a balancer.

    It may say where the balancer works, and from how many numbers: `MGDA at representation`,
    `MGDA at representation, sketch 4096`.
    """
    names = tuple(f"column_{i}" for i in range(count))
    loss = keras.losses.BinaryCrossentropy()
    head = stacked_towers(count)
    task = mtl.Task("assays", head=head, loss=loss, metrics=["auc"], columns=names)
    inputs = keras.Input((FEATURES,))
    network = mtl.architectures.hard_sharing(inputs, [task], shared=(256, 256), tower=())
    if kind == "stock":
        network.compile("adam", loss, metrics=[keras.metrics.AUC(name="auc")])
        return network
    balancer, _, rest = kind.partition(" at ")
    at, _, size = rest.partition(", sketch ")
    options = {"at": at} if at else {}
    if size:
        options["sketch"] = int(size)
    model = mtl.BalancedModel(network, [task], getattr(mtl.balancers, balancer)(), **options)
    model.compile("adam")
    return model


def spread(kind, count):
    """Builds a compiled model of that many columns of one `Dense` layer."""
    names = tuple(f"column_{i}" for i in range(count))
    loss = keras.losses.BinaryCrossentropy()
    task = mtl.Task(
        "assays",
        head=lambda features: keras.layers.Dense(count, "sigmoid")(features),
        loss=loss,
        metrics=(),
        columns=names,
    )
    inputs = keras.Input((FEATURES,))
    network = mtl.architectures.hard_sharing(inputs, [task], shared=(256, 256), tower=())
    if kind == "stock":
        network.compile("adam", loss)
        return network
    rule = getattr(mtl.balancers, kind)()
    model = mtl.BalancedModel(network, [task], rule, at="representation")
    model.compile("adam")
    return model


def measure(what, kind, count, labels):
    """Measures one model, in a separate process, and prints its figures."""
    if what == "named":
        dataset = batches(lambda x, y: {f"task_{i}": y for i in range(count)})
    elif labels == "varied":
        dataset = batches(lambda x, y: {"assays": varied(x, count)})
    else:
        dataset = batches(lambda x, y: {"assays": np.repeat(y, count, axis=1)})
    start, steps = time.perf_counter(), FirstStep()
    model = {"named": named, "columns": columns, "spread": spread}[what](kind, count)
    model.fit(dataset, shuffle=False, verbose=0, callbacks=[steps])
    times = np.diff(steps.ends)
    first = steps.ends[0] - start
    print(json.dumps({"first": first, "step": 1e3 * statistics.median(times)}))


class Remembers(mtl.balancers.GramianBalancer):
    """Keeps the Gramian of the last step."""

    def build(self, num_tasks):
        super().build(num_tasks)
        self.matrix = self.add_state("matrix", (num_tasks, num_tasks), task_axes=2)

    def weigh(self, gramian, losses):
        self.matrix.assign(gramian)
        return keras.ops.ones_like(losses)


def add_directions(table, sizes, rules):
    """Adds a row for each rule: cosines of its directions from sketches with the exact one."""
    names = tuple(f"column_{i}" for i in range(1000))
    loss = keras.losses.BinaryCrossentropy()
    task = mtl.Task("assays", head=stacked_towers(1000), loss=loss, metrics=(), columns=names)
    x, y = next(iter(batches(lambda x, _: varied(x, 1000))))
    for steps in (0, 30):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((FEATURES,))
        network = mtl.architectures.hard_sharing(inputs, [task], shared=(256, 256), tower=())
        model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
        model.compile("adam")
        for _ in range(steps):
            model.train_on_batch(x, {"assays": y})
        matrices = []
        for size in (None, *sizes):
            rule = Remembers()
            model = mtl.BalancedModel(network, [task], rule, at="representation", sketch=size)
            model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
            model.train_on_batch(x, {"assays": y})
            matrices.append(np.array(rule.matrix.variable))
        exact = matrices[0].astype("float64")
        for name in rules:
            weights = []
            for matrix in matrices:
                solved = getattr(mtl.balancers, name)().weigh(matrix, np.ones(1000, "float32"))
                weights.append(np.array(solved, "float64"))
            lengths = [np.sqrt(w @ exact @ w) for w in weights]
            pairs = zip(weights[1:], lengths[1:], strict=True)
            cosines = [weights[0] @ exact @ w / (lengths[0] * n) for w, n in pairs]
            table.add(f"step {steps}", name, *[f"{cosine:.3f}" for cosine in cosines])


def add_rows(table, what, kinds, count, runs, labels="same"):
    """Adds a row for each kind; ratios are to the first."""
    runs_by_kind = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind in kinds:
            command = [sys.executable, __file__, "--child", what, kind, str(count), labels]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs_by_kind[kind].append(json.loads(lines.splitlines()[-1]))
    medians = {
        kind: {key: statistics.median(run[key] for run in all_runs) for key in ("first", "step")}
        for kind, all_runs in runs_by_kind.items()
    }
    base = medians[kinds[0]]
    for kind, median in medians.items():
        cells = []
        for key in ("first", "step"):
            cells += [f"{median[key]:.1f}", f"{median[key] / base[key]:.2f}"]
        one_label = ", one label" if what != "named" and labels == "same" else ""
        table.add(f"{count:,} {what}{one_label}", kind, *cells)


def main():
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    parser.add_argument("--tasks", type=int, nargs="*", default=[4, 8, 16, 50])
    parser.add_argument("--columns", type=int, nargs="*", default=[1000])
    parser.add_argument("--balancers", nargs="+", default=["Equal", "Uncertainty", "DWA"])
    parser.add_argument("--spread", type=int, nargs="*", default=[100, 300, 1000])
    parser.add_argument("--rules", nargs="+", default=["MGDA", "CAGrad"])
    parser.add_argument("--labels", choices=["varied", "same"], default="varied")
    parser.add_argument("--directions", type=int, nargs="*", default=[])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    page_tables.add_option(parser)
    options = parser.parse_args()
    if options.child:
        what, which, count, labels = options.child
        measure(what, which, int(count), labels)
        return
    if options.directions:
        header = ["when", "rule", *[f"sketch={size:,}" for size in options.directions]]
        table = page_tables.Table("many_tasks_sketch", header, options.record, keys=2)
        add_directions(table, options.directions, options.rules)
        table.keep()
        return
    header = ["tasks", "kind", "first, s", "of stock", "step, ms", "of stock"]
    table = page_tables.Table("many_tasks", header, options.record, keys=2)
    for count in options.tasks:
        add_rows(table, "named", ["stock", "apart", "together"], count, options.runs)
    for count in options.columns:
        kinds = ["stock", *options.balancers]
        add_rows(table, "columns", kinds, count, options.runs, options.labels)
    for count in options.spread:
        add_rows(table, "spread", ["stock", *options.rules], count, options.runs, options.labels)
    table.keep()


if __name__ == "__main__":
    main()
