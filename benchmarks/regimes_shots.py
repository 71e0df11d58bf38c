"""Five classes that were never seen, with one example of each: accuracy on others of them.

Digits: trained on 0 to 4, tested on 5 to 9; turned: each digit turned by a quarter is a class of
its own, so that there are 20 to train on. Omniglot, if the folder that the environment variable
OMNIGLOT names has `images_background_small1.zip` (trained on) and `images_background_small2.zip`
(tested on): 136 and 156 characters, in 28 x 28. Joint is a classifier of all classes of training
whose last layer is replaced by zeros. All settings adapt by the same steps, of all layers, ANIL of
the last one; in training there is one step.
"""

import os
import pathlib
import zipfile
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl.training import MetaModel

TITLE = "Five new classes, one example of each: accuracy (chance .2)"
HEADER = ("data", "rule", "1 step", "10 steps")
WAYS, QUERIES, EPISODES, RATE, TESTS = 5, 5, 16, 0.4, 40
TASK = mtl.Task.multiclass("c", WAYS, metrics=["accuracy"])
STEPS = {"digits": 1500, "digits, turned": 1500, "omniglot": 3000}
USES = (1, 10)  # inner steps in use

SETTINGS = {
    "MAML": "maml",
    "first order": "first_order",
    "ANIL": "anil",
    "joint": "joint",
    "no training": "none",
}


def digits(turns: int = 1) -> tuple[list[Any], list[Any]]:
    """Returns the images of the classes of training, in so many turns, and of those of the test."""
    data = load_digits()
    x = (data.images / 16.0).astype("float32")
    classes = [x[data.target == label] for label in range(10)]
    turned = [np.rot90(images, k, (1, 2)) for images in classes[:5] for k in range(turns)]
    flat = [np.ascontiguousarray(images).reshape(len(images), -1) for images in turned]
    return flat, [images.reshape(len(images), -1) for images in classes[5:]]


def omniglot(folder: str) -> tuple[list[Any], list[Any]]:
    """Returns the drawings of the characters of training, and of those of the test."""
    sets = []
    for number in (1, 2):
        path = pathlib.Path(folder) / f"images_background_small{number}.zip"
        characters: dict[str, list[Any]] = {}
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".png")):
                image = tf.io.decode_png(archive.read(name), channels=1)
                small = tf.image.resize(255 - 255 * tf.cast(image > 0, tf.uint8), (28, 28), "area")
                drawings = characters.setdefault(name.rsplit("/", 1)[0], [])
                drawings.append(np.ravel(small).astype("float32") / 255.0)
        sets.append([np.stack(drawings) for drawings in characters.values()])
    return sets[0], sets[1]


def make_network(size: int, task: mtl.Task = TASK) -> keras.Model:
    """Builds the network: two layers, and the head."""
    return mtl.architectures.hard_sharing(keras.Input((size,)), [task], shared=(128, 64), tower=())


def joint_network(classes: list[Any], steps: int) -> keras.Model:
    """Returns a network whose layers, but for the last one, tell all classes of training."""
    task = mtl.Task.multiclass("c", len(classes))
    network = make_network(classes[0].shape[1], task)
    network.compile("adam", **mtl.compile_args([task]))
    x, y = np.concatenate(classes), np.repeat(np.arange(len(classes)), [*map(len, classes)])
    epochs = max(1, steps * 64 // len(x))
    network.fit(x, {"c": y}, batch_size=64, epochs=min(epochs, 40), verbose=0)
    fresh = make_network(classes[0].shape[1])
    body = len(fresh.weights) - 2
    zeros = [np.zeros(v.shape) for v in fresh.weights[body:]]
    fresh.set_weights([*network.get_weights()[:body], *zeros])
    return fresh


class Trial:
    """Trains in one setting, again and again with the graph of the first time."""

    def __init__(self, setting: str, sets: tuple[list[Any], list[Any]], steps: int) -> None:
        self.rule = SETTINGS[setting]
        self.sets, self.steps = sets, steps
        self.size = sets[0][0].shape[1]
        network = make_network(self.size)
        self.is_meta = self.rule not in ("joint", "none")
        rule = self.rule if self.is_meta else "maml"
        self.model, *self.judges = (
            MetaModel(network, [TASK], rule=rule, inner_steps=n, inner_learning_rate=RATE)
            for n in (1, *USES)
        )
        self.model.compile(keras.optimizers.Adam(1e-3), steps_per_execution=50)
        for judge in self.judges:
            judge.compile("sgd", steps_per_execution=TESTS)

    def run(self, seed: int) -> list[float]:
        """Returns the accuracies on episodes of the classes of the test, after 1 and 10 steps."""
        keras.utils.set_random_seed(seed)
        options: dict[str, Any] = {"shots": 1, "ways": WAYS, "task": "c", "episodes": EPISODES}
        train, test = (
            mtl.data.episodes(classes, queries=queries, seed=seed, **options)
            for classes, queries in zip(self.sets, (QUERIES, 15), strict=True)
        )
        fresh = make_network(self.size)
        if self.rule == "joint":
            fresh = joint_network(self.sets[0], self.steps)
        regimes_trials.start_anew(self.model, fresh.get_weights())
        if self.is_meta:
            self.model.fit(train, steps_per_epoch=self.steps, verbose=0)
        measures = [
            judge.evaluate(test, steps=TESTS, verbose=0, return_dict=True) for judge in self.judges
        ]
        return [float(measure["c_accuracy"]) for measure in measures]


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: means and standard deviations over seeds."""
    seeds, data = list(seeds), {"digits": digits(), "digits, turned": digits(turns=4)}
    if folder := os.environ.get("OMNIGLOT"):
        data["omniglot"] = omniglot(folder)
    table: list[tuple[str, ...]] = []
    for name, sets in data.items():
        for setting in SETTINGS:
            if (name, setting) == ("digits, turned", "no training"):
                continue  # the test is the same
            trial = Trial(setting, sets, STEPS[name])
            scores = [trial.run(seed) for seed in seeds]
            table.append((name, setting, *regimes_trials.cells(scores)))
    return table


TABLES = {"shots": regimes_trials.Regime(TITLE, HEADER, rows, seeds=3, keys=2)}
