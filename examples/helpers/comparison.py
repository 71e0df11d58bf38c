"""Code that the examples share: options, files, training and the table of results."""

import argparse
import contextlib
import statistics
import tempfile
import time

import keras
import numpy as np
import tensorflow_datasets as tfds

import keras_mtl as mtl
from keras_mtl import data


def parser(description, **defaults):
    """Returns a parser of the usual options, with the defaults of one example."""
    kind = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=description, formatter_class=kind)
    options.add_argument("--data-dir", help="folder of the real files; by default, made-up ones")
    options.add_argument("--epochs", type=int)
    options.add_argument("--batch-size", type=int)
    options.add_argument("--learning-rate", type=float)
    options.add_argument("--seeds", type=int, help="runs, whose mean and deviation are printed")
    options.add_argument("--seed", type=int, default=0, help="of the first run")
    options.add_argument("--networks", type=int, nargs="+", help="rows of the table: 0 1 ...")
    options.set_defaults(**{"batch_size": 64, "learning_rate": 1e-3, "seeds": 1} | defaults)
    return options


def parse(options, **made_up_defaults):
    """Reads the options; on made-up files, which are tiny, the default is many small steps."""
    made_up = options.parse_known_args()[0].data_dir is None
    if made_up:
        few_rows = {"epochs": 8, "batch_size": 16, "learning_rate": 0.01}
        options.set_defaults(**few_rows | made_up_defaults)
    return seeded(options.parse_args())


def seeded(options):
    """Returns the options, with their seed set: before the data, whose order it decides."""
    keras.utils.set_random_seed(options.seed)
    return options


@contextlib.contextmanager
def files(options, write):
    """Yields the folder of a set's files, made up by default, and a folder to prepare them in."""
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        if options.data_dir is None:
            write(folder)
        yield {"manual_dir": options.data_dir or folder, "data_dir": folder}


def shuffled(batches, options):
    """Returns training data in memory, in a new order each epoch, of known cardinality."""
    rows = data.known_cardinality(batches.unbatch().cache())
    return rows.shuffle(100_000).batch(options.batch_size).prefetch(4)


def arrays(batches):
    """Reads a whole test part to NumPy arrays, in the structure of the dataset."""
    parts = [keras.tree.map_structure(np.asarray, batch) for batch in batches]
    return keras.tree.map_structure(lambda *values: np.concatenate(values), *parts)


def fit(network, tasks, train, options, balancer=None):
    """Trains a network with plain Keras, or in a `BalancedModel` if there is a balancer."""
    steps = options.epochs * int(train.cardinality())
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    )
    if balancer is None:
        model, losses = network, mtl.compile_args(tasks)
    else:
        model, losses = mtl.BalancedModel(network, tasks, balancer), {}
    model.compile(optimizer, **losses)
    chosen = data.select_tasks(train, tasks)
    model.fit(chosen, epochs=options.epochs, shuffle=False, verbose=0)
    return model


def mean_and_deviation(values):
    deviation = statistics.stdev(values) if len(values) > 1 else 0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def table(variants, options):
    """Runs each variant with each seed; prints mean and standard deviation of their figures."""
    rows, names = {}, list(variants)
    for name in [names[place] for place in options.networks or range(len(names))]:
        started, runs = time.perf_counter(), []
        for seed in range(options.seed, options.seed + options.seeds):
            keras.utils.set_random_seed(seed)
            runs.append(variants[name]())
        seconds = (time.perf_counter() - started) / options.seeds
        figures = {key: [run[key] for run in runs] for key in runs[0]}
        if not rows:
            print("| network | " + " | ".join(figures) + " | s |")
            print("|---" * (len(figures) + 2) + "|")
        cells = " | ".join(mean_and_deviation(values) for values in figures.values())
        print(f"| {name} | {cells} | {seconds:.0f} |", flush=True)
        rows[name] = figures
    return rows
