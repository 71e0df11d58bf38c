"""Kinds of tasks: ordered classes and quantiles, beside what one would take otherwise.

- *Ordered classes*: the fifths of scikit-learn's diabetes progression (442 rows, 300 to train).
- *Quantiles*: the same progression, its quantiles .1, .5 and .9, beside a regression whose interval
  is that of its residuals on the training rows.

Coarse labels beside fine ones are in `regimes_rules.py`.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import regimes_trials
import sklearn.datasets
import sklearn.metrics

import keras_mtl as mtl
from keras_mtl import Task

ROWS, UNITS, BATCH_SIZE, EPOCHS = 300, 32, 50, 60
LEVELS = (0.1, 0.5, 0.9)
ORDERED = {
    "multiclass": Task.multiclass("y", 5),
    "ordinal, CORAL": Task.ordinal("y", 5),
    "ordinal, CORN": Task.ordinal("y", 5, method="corn"),
    "regression of the class": Task.regression("y"),
}


@functools.cache
def diabetes(seed: int) -> tuple[Any, Any]:
    """Returns inputs and labels of all rows, in the order of the seed."""
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x = x[order] / x[order][:ROWS].std(0)
    return x.astype("float32"), y[order].astype("float32")


class Trial:
    """Trains a network of one task by plain Keras, again and again with the same graph."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.network = self._make()
        self.network.compile(
            keras.optimizers.Adam(2e-3),
            steps_per_execution=ROWS // BATCH_SIZE,
            **mtl.compile_args([task]),
        )

    def _make(self) -> keras.Model:
        return mtl.architectures.hard_sharing(
            keras.Input((10,)), [self.task], shared=(UNITS,), tower=()
        )

    def run(self, labels: Any, seed: int) -> Any:
        """Trains from new weights; returns the answers for all rows."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.network, self._make().get_weights())
        x = diabetes(seed)[0]
        self.network.fit(
            x[:ROWS], {"y": labels[:ROWS]}, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0
        )
        return np.asarray(self.network(x)["y"])


def ordered(trial: Trial, seed: int) -> tuple[float, float]:
    """Returns the mean distance of classes, and kappa."""
    y = diabetes(seed)[1]
    classes = np.searchsorted(np.quantile(y[:ROWS], [0.2, 0.4, 0.6, 0.8]), y)
    answer = trial.run(classes.astype("float32"), seed)[ROWS:]
    chosen = (np.cumsum(answer, -1)[:, :-1] < 0.5).sum(-1)
    if answer.shape[-1] == 1:
        chosen = np.clip(np.round(answer[:, 0]), 0, 4).astype(int)
    kappa = sklearn.metrics.cohen_kappa_score(classes[ROWS:], chosen, weights="quadratic")
    return float(np.mean(np.abs(chosen - classes[ROWS:]))), float(kappa)


def quantiles(trial: Trial, seed: int) -> tuple[float, float]:
    """Returns the share of labels in the interval of .8, and the pinball loss."""
    y = diabetes(seed)[1]
    mean, spread = y[:ROWS].mean(), y[:ROWS].std()
    answer = trial.run((y - mean) / spread, seed) * spread + mean
    if answer.shape[-1] == 1:
        answer = answer + np.quantile(y[:ROWS] - answer[:ROWS, 0], LEVELS)
    answer, truth = answer[ROWS:], y[ROWS:]
    inside = np.mean((answer[:, 0] <= truth) & (truth <= answer[:, 2]))
    losses = [
        sklearn.metrics.mean_pinball_loss(truth, answer[:, i], alpha=level)
        for i, level in enumerate(LEVELS)
    ]
    return float(inside), float(np.mean(losses))


def rows_of_ordered(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table of ordered classes: a kind of task, and its figures."""
    table = []
    for name, task in ORDERED.items():
        trial = Trial(task)
        table.append((name, *regimes_trials.cells([ordered(trial, seed) for seed in seeds])))
    return table


def rows_of_quantiles(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table of quantiles: a kind of task, and its figures."""
    table = []
    for task in (Task.quantiles("y", LEVELS), Task.regression("y")):
        trial, name = Trial(task), "quantiles" if not table else "regression"
        table.append((name, *regimes_trials.cells([quantiles(trial, seed) for seed in seeds])))
    return table


TABLES = {
    "kinds_ordered": regimes_trials.Regime(
        "Fifths of the diabetes progression, in order",
        ("task", "mean distance", "kappa"),
        rows_of_ordered,
    ),
    "kinds_quantiles": regimes_trials.Regime(
        "Quantiles of the diabetes progression",
        ("task", "share inside of .8", "pinball loss"),
        rows_of_quantiles,
    ),
}
