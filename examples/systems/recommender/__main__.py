"""Which network recommends best, and which tells true conversion rates? In examples/systems:

python -m recommender measure                       # the first table of docs/systems/recommender.md
python -m recommender movielens --data-dir FOLDER   # the same networks on MovieLens
python -m recommender census                        # and on Census-Income, which ships
python -m recommender train --model models/shop     # exports the network that you choose
python -m keras_mtl.serve models/shop --tensorflow  # and answers requests
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
import tables

import keras_mtl as mtl

from . import funnel, measures, movielens, networks, real, surveys

DIGITS = dict.fromkeys(measures.COLUMNS, 3) | {"bias": 1, "purchase log loss": 4, "calibration": 4}


def measure(options):
    """Trains all contenders with several seeds and prints what they reach."""
    train, test = funnel.make(options.rows, 0), funnel.make(options.rows // 2, 1)
    plain = {
        "constant": measures.constant(train, test),
        "logistic regression": measures.linear(train, test),
        "the true probabilities": test.truth,
    }
    rows = {name: line([measures.figures(guess, test)]) for name, guess in plain.items()}
    names = options.networks or [*networks.CONTENDERS]
    if unknown := sorted({*names} - {*networks.CONTENDERS}):
        raise SystemExit(f"{unknown} are no networks; expected of {[*networks.CONTENDERS]}.")
    for name in names:
        runs = []
        for seed in range(options.seeds):
            keras.utils.set_random_seed(seed)
            models = [
                networks.train(contender, train, options.epochs)
                for contender in networks.CONTENDERS[name]
            ]
            runs.append(measures.figures(networks.predict(models, test), test))
        parameters = sum(model.count_params() for model in models)
        rows[name] = line(runs)
        print(f"{name}: {parameters:,} parameters", file=sys.stderr, flush=True)
    title = f"{options.rows:,} impressions, {np.nanmean(train.labels['click']):.1%} clicked"
    tables.show(f"{title}, {options.seeds} seeds", measures.COLUMNS, rows)
    return rows


def line(runs):
    """Formats the figures of some runs; a network without dwell times leaves that cell empty."""
    return [
        tables.cell([run[name] for run in runs], DIGITS[name]) if name in runs[0] else ""
        for name in measures.COLUMNS
    ]


def train(options):
    """Trains one contender and exports it with a signature per task."""
    rows = funnel.make(options.rows, 0)
    (contender,) = networks.CONTENDERS[options.network]
    network, tasks = networks.train(contender, rows, options.epochs), contender[-1]
    served = [task for task in tasks if task.name != "risk"]  # the risk is for training alone
    outputs = {task.name: network.output[task.name] for task in served}
    network = keras.Model(network.input, outputs)
    print(f"exported {mtl.export.saved_model(network, served, options.model / '1')}")


def on_movielens(options):
    """Measures all contenders on the files of MovieLens."""
    if options.data_dir is None:
        raise SystemExit("movielens needs --data-dir, a folder with the files of films.py.")
    return _on([movielens.load(options.data_dir)], options)


def on_census(options):
    """Measures them on three tasks of Census, and on two of which one has hidden labels."""
    return _on(surveys.load(options.data_dir, options.config), options)


def _on(problems, options):
    return [
        real.measure(problem, options.networks, options.seeds, options.epochs)
        for problem in problems
    ]


COMMANDS = {"measure": measure, "movielens": on_movielens, "census": on_census, "train": train}


def main(arguments=None):
    """Reads the options and runs one of the commands."""
    parser = argparse.ArgumentParser(
        prog="recommender", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--rows", type=int, default=30_000, help="impressions to train on")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", help="rows of the table, by name")
    parser.add_argument("--network", default="ESMM", choices=list(networks.CONTENDERS)[1:])
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/shop"))
    parser.add_argument("--data-dir", help="files of MovieLens; or keeps the prepared Census")
    parser.add_argument("--config", default="full", choices=["full", "small"], help="of Census")
    options = parser.parse_args(arguments)
    return COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
