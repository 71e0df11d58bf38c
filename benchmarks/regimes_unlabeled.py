"""Digits with 50 labels: what 1,000 rows without labels add, by each way to use them.

Each setting is trained for 600 steps on batches of all 50 rows with labels and 100 without. The
change of rows, where there is one, is a shift of the image by up to a tenth, or another one that is
named. Accuracy on 747 held-back rows.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import unlabeled

TITLE = "Digits, 50 labels and 1,000 rows without: accuracy on held-back rows"
HEADER = ("setting", "accuracy")
LABELED, UNLABELED, STEPS = 50, 1000, 600
DIGIT = mtl.Task.multiclass("digit", 10)
SMALL = 0.3  # the weight of auxiliary tasks


def shift() -> keras.layers.Layer:
    """Makes a layer that shifts images by up to a tenth of their size."""
    image = keras.Input((64,))
    moved = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=0)(
        keras.layers.Reshape((8, 8, 1))(image)
    )
    return keras.Model(image, keras.layers.Flatten()(moved))


def masked(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches with rows whose cells are to be restored."""
    return unlabeled.mask_columns(dataset, [DIGIT])


def viewed(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches with two views of each row."""
    return unlabeled.two_views(dataset, shift(), [DIGIT])


def plain(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches with missing labels masked."""
    return mtl.data.mask_missing(dataset, [DIGIT])


# The hook, what is done to batches, and further tasks.
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], list[mtl.Task]]] = {
    "labels alone": (lambda: None, plain, []),
    "PseudoLabels(.95)": (unlabeled.PseudoLabels, plain, []),
    "Consistency, noise of .1": (
        lambda: unlabeled.Consistency(keras.layers.GaussianNoise(0.1, seed=0)),
        plain,
        [],
    ),
    "Consistency, SwapCells(.2)": (
        lambda: unlabeled.Consistency(unlabeled.SwapCells(0.2, seed=0)),
        plain,
        [],
    ),
    "Consistency, shift": (lambda: unlabeled.Consistency(shift()), plain, []),
    "Consistency, shift, threshold .95": (
        lambda: unlabeled.Consistency(shift(), threshold=0.95),
        plain,
        [],
    ),
    "mask_columns, weight .3": (
        lambda: None,
        masked,
        [mtl.Task.regression("columns", 64, weight=SMALL)],
    ),
    "two_views, shift, weight .3": (
        lambda: None,
        viewed,
        [unlabeled.contrastive("views", 32, weight=SMALL)],
    ),
}


class Trial:
    """Trains in one setting, again and again with the graph of the first time."""

    def __init__(self, setting: str) -> None:
        make, self.change, added = SETTINGS[setting]
        self.tasks = [DIGIT, *added]
        self.model = mtl.BalancedModel(
            self._network(), self.tasks, mtl.balancers.Equal(), prepare=make()
        )
        self.model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=50)

    def _network(self) -> keras.Model:
        tower: dict[str, tuple[int, ...]] = {task.name: () for task in self.tasks}
        return mtl.architectures.hard_sharing(
            keras.Input((64,)), self.tasks, shared=(96,), tower=tower
        )

    def run(self, seed: int) -> float:
        """Trains once; returns the accuracy."""
        digits = load_digits()
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(digits.target))
        x, y = (digits.data[order] / 16.0).astype("float32"), digits.target[order]
        known = np.where(np.arange(len(y)) < LABELED, y, np.nan)
        picks = [
            [*range(LABELED), *LABELED + generator.permutation(UNLABELED)[:100]]
            for _ in range(STEPS)
        ]
        rows = np.ravel(picks)
        dataset = tf.data.Dataset.from_tensor_slices((x[rows], {"digit": known[rows]}))
        dataset = dataset.batch(LABELED + 100, drop_remainder=True)
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, self._network().get_weights())
        self.model.fit(self.change(dataset), verbose=0)
        rest = slice(LABELED + UNLABELED, None)
        answers = self.model.network(x[rest])["digit"]
        return float(np.mean(np.argmax(answers, axis=1) == y[rest]))


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: means and standard deviations over the seeds."""
    seeds = list(seeds)
    table = []
    for setting in SETTINGS:
        trial = Trial(setting)
        scores = [[trial.run(seed)] for seed in seeds]
        table.append((setting, *regimes_trials.cells(scores)))
    return table


TABLES = {"unlabeled": regimes_trials.Regime(TITLE, HEADER, rows)}
