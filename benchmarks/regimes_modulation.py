"""Two halves of an image as modalities, of which the one that learns faster is slowed down.

Digits of 8 x 8 pixels: the top and the bottom half, in one setting with noise on the bottom one.
700 rows to train on; accuracy on the rest, of the head that reads both halves, and of heads that
read one of them and change nothing below themselves; and the mean factor of each encoder.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
from sklearn.datasets import load_digits

import keras_mtl as mtl

TITLE = "Halves of digits: the encoder that is ahead is slowed down (accuracy of three heads)"
HEADER = ("noise on the bottom", "modulation", "both", "top", "bottom", "factors")
ROWS, EPOCHS, BATCH_SIZE = 700, 40, 50
HALVES = ("top", "bottom")
ALONE = {half: f"{half}_alone" for half in HALVES}
NAMES = ("both", *ALONE.values())
TASKS = [mtl.Task.multiclass(name, 10) for name in NAMES]
ALPHAS = {
    "none": (0.0, False),
    "alpha .3": (0.3, False),
    "alpha .8": (0.8, False),
    "alpha .3, noise": (0.3, True),
}


def digits(seed: int, noise: float) -> tuple[dict[str, Any], Any]:
    """Returns the halves of all images in the order of the seed, and their labels."""
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images = images[order].astype("float32") / 16
    noises = rng.normal(0, noise, (len(labels), 32)).astype("float32")
    return {"top": images[:, :32], "bottom": images[:, 32:] + noises}, labels[order]


def make_network() -> keras.Model:
    """Builds an encoder for each half, and the three heads."""
    inputs = {half: keras.Input((32,), name=half) for half in HALVES}
    features = {
        half: keras.layers.Dense(64, activation="relu", name=f"{half}_encoder")(inputs[half])
        for half in HALVES
    }
    read = {ALONE[half]: mtl.layers.StopGradient()(features[half]) for half in HALVES}
    read["both"] = keras.layers.Concatenate()([*features.values()])
    return keras.Model(inputs, {task.name: task.output(read[task.name]) for task in TASKS})


class Trial:
    """Trains in one setting, again and again with the graph of the first time."""

    def __init__(self, alpha: float, with_noise: bool) -> None:
        encoders = {ALONE[half]: f"{half}_encoder" for half in HALVES}
        modulate = mtl.training.GradientModulation(encoders, alpha=alpha, noise=with_noise)
        self.model = mtl.BalancedModel(
            make_network(), TASKS, mtl.balancers.Equal(), modulate=modulate
        )
        # Adam would undo a factor that stays the same.
        self.model.compile(
            keras.optimizers.SGD(0.05, momentum=0.9), steps_per_execution=ROWS // BATCH_SIZE
        )

    def run(self, seed: int, noise: float) -> list[float]:
        """Returns the accuracies of the three heads, and the factors of the two encoders."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, make_network().get_weights())
        halves, labels = digits(seed, noise)
        train = {half: values[:ROWS] for half, values in halves.items()}
        logs = self.model.fit(
            train,
            dict.fromkeys(NAMES, labels[:ROWS]),
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            verbose=0,
        ).history
        test = {half: values[ROWS:] for half, values in halves.items()}
        predictions = self.model.network.predict(test, verbose=0)
        scores = [np.mean(predictions[name].argmax(axis=1) == labels[ROWS:]) for name in NAMES]
        return [
            *map(float, scores),
            *(float(np.mean(logs[f"{ALONE[half]}_factor"])) for half in HALVES),
        ]


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: the noise, the modulation, and means over the seeds."""
    table: list[tuple[str, ...]] = []
    seeds = list(seeds)
    trials = {name: Trial(*setting) for name, setting in ALPHAS.items()}
    for noise in (0.0, 0.5):
        for name, trial in trials.items():
            scores = np.array([trial.run(seed, noise) for seed in seeds])
            top, bottom = scores[:, 3:].mean(axis=0)
            accuracies = regimes_trials.cells(scores[:, :3])
            table.append((str(noise), name, *accuracies, f"{top:.2f}, {bottom:.2f}"))
    return table


TABLES = {"modulation": regimes_trials.Regime(TITLE, HEADER, rows, keys=2)}
