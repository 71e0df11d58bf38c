"""Two halves of an image as modalities, of which one may be missing when the network is used.

Digits of 8 x 8 pixels: the top and the bottom half. 700 rows with both; accuracy on the rest with
both halves, and with one of them alone; and the log loss without any, of which the shares of the
ten classes have 2.30. The last row has a network (of scikit-learn, as wide) for each half alone.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import keras_mtl as mtl

TITLE = "Halves of digits: accuracy with both, and where one half is missing"
HEADER = ("network", "both", "top alone", "bottom alone", "log loss of nothing")
ROWS, EPOCHS, BATCH_SIZE, UNITS = 700, 60, 50, 64
HALVES = ("top", "bottom")
TASKS = [mtl.Task.multiclass("digit", 10)]
SETTINGS: dict[str, dict[str, Any]] = {
    "no dropout": {},
    "dropout .2": {"dropout": 0.2},
    "dropout .5": {"dropout": 0.5},
    "dropout .2, of all .05": {"dropout": 0.2, "dropout_of_all": 0.05},
    "gated, dropout .2": {"fusion": "gated", "dropout": 0.2},
    "gated, dropout .2, of all .05": {"fusion": "gated", "dropout": 0.2, "dropout_of_all": 0.05},
}


def digits(seed: int) -> tuple[dict[str, Any], Any]:
    """Returns the halves of all images in the order of the seed, and their labels."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    images = images[order].astype("float32") / 16
    return {"top": images[:, :32], "bottom": images[:, 32:]}, labels[order]


class Trial:
    """Trains a network in one setting, again and again with the graph of the first time."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.network = self._make()
        self.network.compile(
            keras.optimizers.Adam(2e-3),
            steps_per_execution=ROWS // BATCH_SIZE,
            **mtl.compile_args(TASKS),
        )

    def _make(self) -> keras.Model:
        inputs = {half: keras.Input((32,), name=half) for half in HALVES}
        flags = {f"{half}_present": keras.Input((), name=f"{half}_present") for half in HALVES}
        encoders = dict.fromkeys(HALVES, (UNITS,))
        return mtl.architectures.multimodal(
            inputs | flags, TASKS, encoders=encoders, tower=(UNITS,), **self.arguments
        )

    def run(self, seed: int) -> list[float]:
        """Returns accuracies with both halves, the top, the bottom; the log loss without any."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.network, self._make().get_weights())
        halves, labels = digits(seed)
        there = {f"{half}_present": np.ones(len(labels), "float32") for half in HALVES}
        train = {key: value[:ROWS] for key, value in (halves | there).items()}
        self.network.fit(
            train, {"digit": labels[:ROWS]}, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0
        )
        test = {key: value[ROWS:] for key, value in (halves | there).items()}
        none = np.zeros(len(labels) - ROWS, "float32")
        cases = [{}, {"bottom_present": none}, {"top_present": none}]
        predictions = [np.asarray(self.network(test | case)["digit"]) for case in cases]
        scores = [float(np.mean(p.argmax(axis=1) == labels[ROWS:])) for p in predictions]
        nothing = {"top_present": none, "bottom_present": none}
        shares = np.asarray(self.network(test | nothing)["digit"])
        return [*scores, float(-np.mean(np.log(shares[np.arange(len(none)), labels[ROWS:]])))]


def of_their_own(seed: int) -> list[float]:
    """Returns the accuracy of a network for each half alone."""
    halves, labels = digits(seed)
    scores = []
    for half in HALVES:
        network = MLPClassifier(
            (UNITS, UNITS),
            learning_rate_init=2e-3,
            batch_size=BATCH_SIZE,
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            random_state=seed,
        )
        network.fit(halves[half][:ROWS], labels[:ROWS])
        scores.append(float(network.score(halves[half][ROWS:], labels[ROWS:])))
    return scores


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: a network, and its accuracies over the seeds."""
    table: list[tuple[str, ...]] = []
    seeds = list(seeds)
    for setting, arguments in SETTINGS.items():
        trial = Trial(arguments)
        table.append((setting, *regimes_trials.cells([trial.run(seed) for seed in seeds])))
    alone = regimes_trials.cells([of_their_own(seed) for seed in seeds])
    return [*table, ("a network for each half", "-", *alone, "-")]


TABLES = {"modalities": regimes_trials.Regime(TITLE, HEADER, rows)}
