"""Answers messages of customers with one network. Run it in the folder examples/systems:

    python -m customer_service measure                        # made-up messages
    python -m customer_service measure --data-dir FOLDER      # snips.tar.xz, fdu_mtl.tar.xz
    python -m customer_service train --model models/service
    python -m keras_mtl.serve models/service --tensorflow     # in a second terminal
    python -m customer_service ask                            # messages in, answers out

`measure` prints the table of docs/systems/customer_service.md; `latency` asks the running server.
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
import tables

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.serving import Client

from . import measures, network, sources, tickets

COLUMNS = ["intent", "slots", "mood", "urgency", "answer", "new answer"]
MOODS, HURRY = ("unhappy", "happy"), ("can wait", "normal", "urgent")


def measure(options):
    """Trains a network for each task, and one for all, with several seeds; prints a table."""
    encoder, train, test = sources.load(options.data_dir, options.share, options.rows)
    variants = {
        "one for each task": [[task] for task in sources.TASKS],
        "one for all": [sources.TASKS],
        "one for all, UPGrad": [sources.TASKS],
    }
    rows = {
        "chance or most frequent": constant(test),
        "TF-IDF, linear": linear(encoder, train, test),
    }
    for name, groups in variants.items():
        runs = []
        for seed in range(options.seeds):
            keras.utils.set_random_seed(seed)
            run = {}
            for tasks in groups:
                rule = balancers.UPGrad() if "UPGrad" in name else None
                model = network.train(tasks, train, options.epochs, rule)
                run |= measures.figures(model, encoder, test)
            runs.append(run)
        rows[name] = [tables.cell([run[column] for run in runs]) for column in COLUMNS]
        print(f"{name}: done", file=sys.stderr, flush=True)
    tables.show(f"Test parts, {options.seeds} seeds", COLUMNS, rows)
    return rows


def constant(test):
    """Returns the shares of the most frequent classes, and of one answer in so many."""
    places = {"intent": "commands", "mood": "reviews", "urgency": "tickets"}
    rates = {
        task: np.bincount(test[name][1][task].reshape(-1)).max() / len(test[name][1][task])
        for task, name in places.items()
    }
    chance = 1 / len(tickets.ANSWERS)
    rates |= {"slots": 0.0, "answer": chance, "new answer": chance}
    return [f"{rates[column]:.3f}" for column in COLUMNS]


def linear(encoder, train, test):
    """Returns what logistic regression on words reaches, for the tasks of a whole message."""
    words = np.array(encoder.layers[-1].get_vocabulary())

    def texts(x):
        return [" ".join(words[row[row > 0]]) for row in x["words"]]

    result = dict.fromkeys(COLUMNS, "")
    for task, name in {"intent": "commands", "mood": "reviews", "urgency": "tickets"}.items():
        x, y = sources.to_arrays(train[name].batch(512))[:2]
        x_test, y_test = test[name][:2]
        labels = [labels[task].reshape(-1) for labels in (y, y_test)]
        result[task] = f"{measures.linear(texts(x), texts(x_test), *labels):.3f}"
    return list(result.values())


def train(options):
    """Trains the network of all tasks and exports it, with all answers in its bank."""
    encoder, sets, test = sources.load(options.data_dir, options.share, options.rows)
    keras.utils.set_random_seed(0)
    model = network.train(sources.TASKS, sets, options.epochs)
    print({name: round(value, 3) for name, value in measures.figures(model, encoder, test).items()})
    served = network.serve(model, encoder, tickets.ANSWERS)
    answer = mtl.Task.multiclass("answer", len(tickets.ANSWERS))
    tasks = [*sources.TASKS[:-1], answer]
    print(f"exported {mtl.export.saved_model(served, tasks, options.model / '1')}")


def describe(text, answer):
    """Returns what the network says of a message, in four lines."""
    words = text.split()
    features = sources.datasets.Snips(data_dir="/nowhere").info.features["labels"]
    names = features["slots"].feature.names
    tags = [names[k] for k in np.asarray(answer["slots"])[0, : len(words)].argmax(-1)]
    pairs = zip(words, tags, strict=False)  # longer messages are cut
    slots = [f"{tag[2:]}={word}" for word, tag in pairs if tag != "O"]
    intent = features["intent"].names[int(np.argmax(answer["intent"][0]))]
    mood = MOODS[int(answer["mood"][0][0] > 0.5)]
    hurry = HURRY[int(np.argmax(answer["urgency"][0]))]
    best = tickets.ANSWERS[int(np.argmax(answer["answer"][0]))]
    return f"  intent {intent}; slots {', '.join(slots) or 'none'}\n  {mood}, {hurry}\n  > {best}"


def ask(options):
    """Reads messages, one per line, and prints what the server says of each."""
    with Client(options.url, options.model.name) as client:
        for line in filter(None, map(str.strip, sys.stdin)):
            print(describe(line.lower(), client.predict({"text": [line.lower()]})), flush=True)


def latency(options):
    """Asks the running server one message at a time, for all tasks and for one alone."""
    messages = tickets.make(200, 2)[0].tolist()
    with Client(options.url, options.model.name) as client:
        for task in (None, "urgency"):
            requests = [{"text": [text]} for text in messages]
            times = measures.latency(
                lambda x, task=task: client.predict(x, task), requests, options.rounds
            )
            median, worst = times
            print(f"{task or 'all tasks'}: median {median:.1f} ms, 99 of 100 within {worst:.1f} ms")


def main(arguments=None):
    """Reads the options and runs one of the commands."""
    parser = argparse.ArgumentParser(
        prog="customer_service", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = {"measure": measure, "train": train, "ask": ask, "latency": latency}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--data-dir", help="folder of snips.tar.xz and fdu_mtl.tar.xz")
    parser.add_argument("--share", type=int, default=30, help="percent of SNIPS to train on")
    parser.add_argument("--rows", type=int, default=2000, help="made-up tickets")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/service"))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--rounds", type=int, default=1000, help="requests to time")
    options = parser.parse_args(arguments)
    return commands[options.command](options)


if __name__ == "__main__":
    main()
