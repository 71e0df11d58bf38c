"""Cost of a mixture of data sets, relative to plain tf.data over the same examples.

    python benchmarks/data.py                          # 2, 8 and 64 sets, batches of 64 and 256
    python benchmarks/data.py --sets 8 --features 1024 --rounds 9

Every set has examples of its own task; `plain` reads the same inputs, labels and weights, already
concatenated in one order, with the fastest of several pipelines: sliced and batched, batched in
parallel, each with and without prefetching. `mixture` mixes single examples to batches,
`sets` draws batches that hold one set each. All are read in turns, in a new random order per
round, and the median round counts, in microseconds of wall time per example. The last
column is the memory that grew between the first and the last tenth of a long stream.
"""

import argparse
import random
import statistics
import time
from pathlib import Path

import numpy as np
import page_tables
import tensorflow as tf

import keras_mtl as mtl

EXAMPLES = 65_536


def make_arrays(sets, features):
    rng = np.random.default_rng(0)
    size = EXAMPLES // sets
    return {
        f"set_{k}": (
            rng.normal(size=(size, features)).astype("float32"),
            {f"task_{k}": rng.integers(0, 2, size)},
        )
        for k in range(sets)
    }


def concatenated(arrays, tasks):
    """Concatenates the examples of all sets, with all labels and weights, in one random order."""
    order = np.random.default_rng(1).permutation(EXAMPLES)
    x = np.concatenate([x for x, _ in arrays.values()])[order]
    blocks = {task.name: [] for task in tasks}
    for features, labels in arrays.values():
        for name, parts in blocks.items():
            parts.append((labels.get(name, np.zeros(len(features), int)), name in labels))
    y, w = {}, {}
    for name, parts in blocks.items():
        y[name] = np.concatenate([label for label, _ in parts])[order]
        weights = [np.full(len(label), there, "float32") for label, there in parts]
        w[name] = np.concatenate(weights)[order]
    return tf.data.Dataset.from_tensor_slices((x, y, w))


def pipelines(sets, features, batch_size):
    arrays = make_arrays(sets, features)
    tasks = [mtl.Task.binary(name) for _, labels in arrays.values() for name in labels]
    plain = concatenated(arrays, tasks)
    single = {name: tf.data.Dataset.from_tensor_slices(rows) for name, rows in arrays.items()}
    batched = {name: examples.batch(batch_size) for name, examples in single.items()}
    parallel = plain.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE)
    mixed = mtl.data.mixture(single, tasks, batch_size=batch_size)
    one_set = mtl.data.mixture(batched, tasks)
    return {
        "plain": [
            plain.batch(batch_size),
            plain.batch(batch_size).prefetch(tf.data.AUTOTUNE),
            parallel,
            parallel.prefetch(tf.data.AUTOTUNE),
        ],
        "mixture": [mixed, mixed.prefetch(tf.data.AUTOTUNE)],
        "sets": [one_set, one_set.prefetch(tf.data.AUTOTUNE)],
    }


def read(dataset):
    """Reads a dataset once, without Python, as `fit` does; returns microseconds per example."""
    start = time.perf_counter()
    dataset.reduce(0, lambda count, *_: count + 1)
    return (time.perf_counter() - start) / EXAMPLES * 1e6


def measure(kinds, rounds):
    """Measures the median of each pipeline; returns the fastest one of each kind."""
    variants = [(kind, place) for kind, datasets in kinds.items() for place in range(len(datasets))]
    times = {variant: [] for variant in variants}
    for round_ in range(rounds + 1):
        random.Random(round_).shuffle(variants)
        for kind, place in variants:
            spent = read(kinds[kind][place])
            if round_:  # the first round warms up
                times[kind, place].append(spent)
    medians = {variant: statistics.median(spent) for variant, spent in times.items()}
    return {kind: min(m for (k, _), m in medians.items() if k == kind) for kind in kinds}


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def growth(dataset, batches=20_000):
    """Measures by how many MB memory grew between the first and last tenth of a stream."""
    levels = []
    for step, _ in enumerate(dataset.repeat().take(batches)):
        if step in (batches // 10, batches - 1):
            levels.append(resident())
    return levels[1] - levels[0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sets", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    page_tables.add_option(parser)
    arguments = parser.parse_args()
    print(f"{EXAMPLES:,} examples of {arguments.features} float32, one task per set\n")
    header = ["sets", "batch", "plain us", "mixture us", "of plain", "one set per batch us"]
    table = page_tables.Table("data", [*header, "of plain", "MB"], arguments.record, keys=2)
    for sets in arguments.sets:
        for batch_size in arguments.batch_sizes:
            kinds = pipelines(sets, arguments.features, batch_size)
            us = measure(kinds, arguments.rounds)
            grown = growth(kinds["mixture"][0])
            cells = [f"{us['plain']:.2f}"]
            for kind in ("mixture", "sets"):
                cells += [f"{us[kind]:.2f}", f"{us['plain'] / us[kind]:.0%}"]
            table.add(sets, batch_size, *cells, f"{grown:+.0f}")
    table.keep()


if __name__ == "__main__":
    main()
