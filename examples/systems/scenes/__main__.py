"""Segmentation, depth and normals of the same pixels. Run it in the folder examples/systems:

python -m scenes measure                       # generated rooms
python -m scenes measure --nyuv2 FOLDER        # NYUv2, as prepared for MTAN
python -m scenes train --model models/scenes   # exports one network
python -m scenes show --model models/scenes --picture scene.png
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
import tables
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import balancers

from . import measures, networks, nyuv2, rooms

NAMES = ("one for each task", "hard sharing", "hard sharing, UPGrad", "MTAN", "PAD-Net", "MTI-Net")
DIGITS = dict(zip(measures.COLUMNS, (3, 3, 1, 1, 3), strict=True))


def load(options):
    """Returns the number of classes, and images with labels for training and for the test."""
    if options.nyuv2:
        parts = [nyuv2.read(options.nyuv2, part, limit=options.limit) for part in ("train", "val")]
        return nyuv2.CLASSES, *parts
    return len(rooms.CLASSES), rooms.make(options.scenes, 0), rooms.make(options.scenes // 2, 1)


def fit(name, tasks, images, labels, epochs):
    """Trains one contender, which may be several networks."""
    groups = [[task] for task in tasks] if name == "one for each task" else [tasks]
    balancer = balancers.UPGrad if "UPGrad" in name else lambda: None
    return [networks.train(name, group, images, labels, epochs, balancer()) for group in groups]


def measure(options):
    """Prints the figures of two baselines and of all contenders."""
    classes, (images, labels), (test_images, test_labels) = load(options)
    tasks = networks.make_tasks(classes)
    plain = {
        "constant, by place": measures.constant(labels, len(test_images), classes),
        "linear, on patches": measures.linear(images, labels, test_images, classes),
    }
    rows = {name: line([measures.figures(guess, test_labels)]) for name, guess in plain.items()}
    for name in options.networks or NAMES:
        runs = []
        for seed in range(options.seeds):
            keras.utils.set_random_seed(seed)
            models = fit(name, tasks, images, labels, options.epochs)
            runs.append(measures.figures(networks.predict(models, test_images), test_labels))
        rows[name] = line(runs)
        parameters = sum(model.count_params() for model in models)
        print(f"{name}: {parameters:,} parameters", file=sys.stderr, flush=True)
    tables.show(f"{len(images)} scenes, {options.seeds} seeds", measures.COLUMNS, rows)
    return rows


def line(runs):
    """Formats the figures of some runs."""
    return [tables.cell([run[name] for run in runs], DIGITS[name]) for name in measures.COLUMNS]


def train(options):
    """Trains one network for all tasks and exports it."""
    classes, (images, labels), _ = load(options)
    tasks = networks.make_tasks(classes)
    keras.utils.set_random_seed(0)
    network = networks.train(options.network, tasks, images, labels, options.epochs)
    outputs = {task.name: network.output[task.name] for task in tasks}  # without first predictions
    network = keras.Model(network.input, outputs)
    print(f"exported {mtl.export.saved_model(network, tasks, options.model / '1')}")


def show(options):
    """Draws a new scene and what the exported network says of it, beside each other."""
    import matplotlib.pyplot as plt

    images, labels = rooms.make(1, options.scenes + 7)
    answer = tf.saved_model.load(options.model / "1").signatures["serving_default"]
    guess = {name: value.numpy() for name, value in answer(image=tf.constant(images)).items()}
    figure, axes = plt.subplots(2, 4, figsize=(10, 5))
    truth = [images[0], labels["parts"][0], labels["depth"][0, ..., 0], labels["normals"][0]]
    said = [images[0], guess["parts"][0].argmax(-1), guess["depth"][0, ..., 0], guess["normals"][0]]
    titles = ("image", "parts", "log depth", "normals")
    for row, pictures in zip(axes, (truth, said), strict=True):
        for axis, picture, title in zip(row, pictures, titles, strict=True):
            colors = picture / 2 + 0.5 if title == "normals" else np.clip(picture, -9, 9)
            axis.imshow(np.clip(colors, 0, 1) if colors.ndim == 3 else colors)
            axis.set_axis_off()
            axis.set_title(title if row is axes[0] else f"{title}, predicted")
    figure.savefig(options.picture, dpi=100)
    plt.close(figure)
    print(f"wrote {options.picture}")


def main(arguments=None):
    """Reads the options and runs one of the commands."""
    parser = argparse.ArgumentParser(
        prog="scenes", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=["measure", "train", "show"])
    parser.add_argument("--nyuv2", help="folder of NYUv2; by default, rooms are generated")
    parser.add_argument("--limit", type=int, help="images of NYUv2 per part")
    parser.add_argument("--scenes", type=int, default=300, help="generated rooms to train on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=NAMES, help="to measure")
    parser.add_argument("--network", default="hard sharing", choices=NAMES[1:], help="to export")
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/scenes"))
    parser.add_argument("--picture", default="scene.png")
    options = parser.parse_args(arguments)
    return {"measure": measure, "train": train, "show": show}[options.command](options)


if __name__ == "__main__":
    main()
