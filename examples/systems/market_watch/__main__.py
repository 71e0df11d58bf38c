"""Watches the sentiment of short texts by topic. Run it in the folder examples/systems:

    python -m market_watch measure                          # made-up texts
    python -m market_watch measure --data-dir FOLDER        # reviews: fdu_mtl.tar.xz
    python -m market_watch train --model models/market
    python -m market_watch watch --model models/market --input texts.txt --page watch.html

`measure` prints the tables of docs/systems/market_watch.md. `train` exports the network and the
alarms (Page-Hinkley). `watch` reads a text per line, from a file or standard input, prints alarms
as they come, and writes a page at the end.
"""

import argparse
import contextlib
import pathlib
import sys

import keras
import numpy as np
import tables

import keras_mtl as mtl
from keras_mtl import balancers, data

from . import alarms, networks, planted, service, texts

SHIFT = 0.2  # of the share of positive texts: what the alarms are built to notice


def networks_of(x, train, epochs, seed):
    """Trains one network per task, and both tasks on one, with and without PCGrad."""
    keras.utils.set_random_seed(seed)
    alone = [networks.train([task], x, train, epochs) for task in networks.TASKS]
    both = networks.train(networks.TASKS, x, train, epochs)
    balanced = networks.train(networks.TASKS, x, train, epochs, balancers.PCGrad())
    return {"one for each task": alone, "hard sharing": [both], "hard sharing, PCGrad": [balanced]}


def answers(models, x):
    """Returns the probabilities of both tasks, from one network or two."""
    return {k: v for model in models for k, v in networks.predict(model, x).items()}


def scores_by_topic(predicted, rows):
    """Yields scores and true sentiments of the texts that the network takes for each topic."""
    topic = rows.topic if predicted is None else predicted["topic"].argmax(-1)
    score = rows.positive.astype(float) if predicted is None else predicted["positive"][:, 0]
    for k in range(len(texts.TOPICS)):
        of_topic = topic == k
        yield score[of_topic], rows.positive[of_topic]


def measure_alarms(predicted, rows, reference, options, kind):
    """Counts false alarms, and measures delays of small and large shifts, over all topics."""
    rng = np.random.default_rng(0)
    counts, late = np.zeros(2), {shift: [] for shift in options.shifts}
    watched = zip(
        scores_by_topic(predicted[0], reference), scores_by_topic(predicted[1], rows), strict=True
    )
    for known, (scores, positive) in watched:
        test = alarms.design(kind, *known, SHIFT, options.run_length)
        share, length = known[1].mean(), options.run_length
        size = (share, length, options.streams, rng)
        counts += planted.false_alarms(test, scores, positive, *size)
        for shift, delays in late.items():
            shares = (share, share - shift)
            delays.extend(
                planted.delays(
                    test, scores, positive, shares, 300, length // 2, options.streams, rng
                )
            )
    lower, upper = tables.rate_interval(*counts)
    return [
        f"{counts[1] / max(counts[0], 1):,.0f}",
        f"{1 / upper:,.0f} to {1 / lower:,.0f}" if lower else f"over {1 / upper:,.0f}",
        *(f"{np.median(delays):.0f} / {np.quantile(delays, 0.9):.0f}" for delays in late.values()),
    ]


def measure(options):
    """Prints the quality of networks and of alarms."""
    train, reference, stream = texts.load(options.data_dir, options.rows)
    encoder = networks.make_encoder(train.text)
    x, x_reference, x_stream = (
        networks.encode(encoder, part) for part in (train, reference, stream)
    )
    runs = [networks_of(x, train, options.epochs, seed) for seed in range(options.seeds)]
    rows = {}
    for name, baseline in (("constant", networks.constant), ("TF-IDF, linear", networks.linear)):
        rows[name] = [f"{value:.3f}" for value in baseline(train, stream).values()]
    for name in runs[0]:
        right = [networks.accuracies(answers(run[name], x_stream), stream) for run in runs]
        rows[name] = [tables.cell([run[task] for run in right]) for task in ("topic", "positive")]
    tables.show(f"Accuracy, {options.seeds} seeds", ["topic", "sentiment"], rows)

    shared = runs[0]["hard sharing"]
    predicted = [answers(shared, part) for part in (x_reference, x_stream)]
    kinds = {
        "CUSUM": (predicted, alarms.Cusum),
        "Page-Hinkley": (predicted, alarms.PageHinkley),
        "CUSUM, true topic and sentiment": ([None, None], alarms.Cusum),
    }
    columns = ["texts per false alarm", "95 % interval"]
    columns += [f"delay, {shift:+.0%}" for shift in (-shift for shift in options.shifts)]
    rows = {
        name: measure_alarms(scores, stream, reference, options, kind)
        for name, (scores, kind) in kinds.items()
    }
    tables.show(f"Alarms, set to one false in {options.run_length:,} texts", columns, rows)
    return rows


def train(options):
    """Trains, exports the network, and designs the alarms on the reference."""
    training, reference, _ = texts.load(options.data_dir, options.rows)
    encoder = networks.make_encoder(training.text)
    keras.utils.set_random_seed(0)
    x, x_reference = networks.encode(encoder, training), networks.encode(encoder, reference)
    network = networks.train(networks.TASKS, x, training, options.epochs)
    served = data.with_preprocessing(encoder, network)
    version = mtl.export.saved_model(served, networks.TASKS, options.model / "1")
    known = scores_by_topic(networks.predict(network, x_reference), reference)
    tests = {
        name: alarms.design(alarms.PageHinkley, *scores, SHIFT, options.run_length)
        for name, scores in zip(texts.TOPICS, known, strict=True)
    }
    service.save_tests(options.model, tests, options.run_length)
    print(f"exported {version}; alarms are in {options.model / 'watch.json'}")


def watch(options):
    """Reads texts, one per line, prints alarms and writes the page."""
    running = service.Watch(options.model)
    with contextlib.ExitStack() as stack:
        lines = sys.stdin
        if options.input != "-":
            lines = stack.enter_context(pathlib.Path(options.input).open())
        for line in filter(None, map(str.strip, lines)):
            for sentence in running.read([line]):
                print(sentence, flush=True)
    pathlib.Path(options.page).write_text(running.page())
    print(f"wrote {options.page}")


def main(arguments=None):
    """Reads the options and runs one of the three commands."""
    parser = argparse.ArgumentParser(
        prog="market_watch", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=["measure", "train", "watch"])
    parser.add_argument("--data-dir", help="folder with fdu_mtl.tar.xz; by default, made-up texts")
    parser.add_argument("--rows", type=int, default=6000, help="made-up texts")
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/market"))
    parser.add_argument("--input", default="-", help="a file with a text per line; - reads stdin")
    parser.add_argument("--page", default="watch.html")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--run-length", type=int, default=2000, help="texts per false alarm")
    parser.add_argument("--shifts", type=float, nargs="+", default=[0.2, 0.3])
    parser.add_argument("--streams", type=int, default=100, help="per topic, to measure alarms")
    options = parser.parse_args(arguments)
    commands = {"measure": measure, "train": train, "watch": watch}
    return commands[options.command](options)


if __name__ == "__main__":
    main()
