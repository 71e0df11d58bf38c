"""Which tasks' gradients point against each other while the tasks begin to learn."""

import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis._gramians._pairs import compare_pairs
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._gramians import HalfBatches
from keras_mtl.analysis._probing._means import nan_mean
from keras_mtl.analysis._probing._probe import Probe
from keras_mtl.analysis._probing._read_batches import read_pairs

_COSINE = -0.3  # below which gradients conflict; tasks with features of their own reach -.2
_ERRORS = 2  # standard errors by which the cosine is below 0


class MeasureConflict(keras.callbacks.Callback):
    """Measures the gradients of the tasks at the ends of the first epochs.

    Their inner products are added up, so that epochs count in which the tasks still learn: later
    all gradients add up to nearly zero, and tasks are in conflict whatever they are.

    Args:
        batches: The batches to train on.
        tasks: The tasks.
        epochs: The number of epochs to measure.
        steps: The largest number of pairs of batches in each of them.

    Attributes:
        seconds: The time that it took.
    """

    def __init__(
        self, batches: tf.data.Dataset, tasks: Sequence[Task], epochs: int, steps: int
    ) -> None:
        super().__init__()
        self._batches, self._tasks, self._epochs, self._steps = batches, tasks, epochs, steps
        self._gramians: list[FloatArray] = []
        self._halves: Any = None
        self.seconds = 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measures the gradients in the first epochs."""
        if epoch >= self._epochs:
            return
        start = time.perf_counter()
        if self._halves is None:
            self._probe = Probe(self.model, self._tasks)
            self._halves = HalfBatches(self._probe)
        values = self._probe.values()
        pairs = read_pairs(self._batches, self._tasks, self._probe.network, self._steps)
        self._gramians.append(np.stack([self._halves(values, *pair).gramian for pair in pairs]))
        self.seconds += time.perf_counter() - start

    def cosines(self) -> tuple[FloatArray, FloatArray]:
        """Returns the cosines of the gradients of all losses, and their standard errors.

        Both are `[K, K]`. NaN is where a gradient is smaller than its noise; the error is NaN where
        there are fewer than two measurements.
        """
        gramians = np.concatenate(self._gramians)
        pairs = compare_pairs(gramians)
        # From epoch to epoch gradients change, which is no noise: deviations are those within one.
        groups = self._gramians if len(self._gramians[0]) > 1 else [gramians]
        deviations = np.concatenate([group - nan_mean(group) for group in groups])
        counts = np.isfinite(gramians).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            variances = np.nansum(deviations**2, axis=0) / (counts - len(groups)) / counts
            errors = np.sqrt(np.where(counts > len(groups), variances, np.nan))
            return pairs.cosines, errors * np.abs(pairs.cosines / pairs.gramian)


def conflicting_pairs(cosines: FloatArray, errors: FloatArray) -> list[tuple[int, int]]:
    """Returns the pairs of tasks in conflict, the strongest first.

    Args:
        cosines: The cosines of the tasks' gradients, `[K, K]`.
        errors: Their standard errors, `[K, K]`.
    """
    pairs = [
        (cosines[i, j], i, j)
        for i in range(len(cosines))
        for j in range(i)
        if cosines[i, j] < _COSINE and cosines[i, j] + _ERRORS * errors[i, j] < 0
    ]
    return [(j, i) for _, i, j in sorted(pairs)]


def describe_conflict(cosines: FloatArray, errors: FloatArray, names: Sequence[str]) -> str:
    """Says which tasks are in conflict, or why none are."""
    of_pairs = cosines[~np.eye(len(cosines), dtype=bool)]
    if np.isnan(of_pairs).all():
        return "gradients are smaller than their noise, so that none conflict"
    pairs = conflicting_pairs(cosines, errors)
    if not pairs:
        return f"no gradients point against each other (lowest cosine {np.nanmin(of_pairs):.2f})"
    first, second = pairs[0]
    total = math.comb(len(cosines), 2)
    return (
        f"gradients of {len(pairs)} of {total} pairs of tasks point against each other, most "
        f"{names[first]} and {names[second]} (cosine {cosines[first, second]:.2f})"
    )
