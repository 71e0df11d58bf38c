"""Resampled rows, for metrics that are functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._cells import Cell
from keras_mtl.analysis._verdicts._read_labels import IntArray

NUM_DRAWS = 1000
"""Draws of rows for metrics that are functions."""

_MOST_REPEATS = 20


class Draws:
    """Draws rows of the test set, the same for all seeds, models, tasks and columns.

    Args:
        num_rows: n, the number of rows of the test set.
        blocks: The number of the block of each row, `[n]`, if whole blocks are drawn.
    """

    def __init__(self, num_rows: int, blocks: IntArray | None) -> None:
        self.num_rows = num_rows
        self._members: list[IntArray] | None = None
        if blocks is not None:
            order = np.argsort(blocks, kind="stable")
            edges = np.cumsum(np.bincount(blocks))[:-1]
            self._members = [part.astype(np.int64) for part in np.split(order, edges)]

    def counts(self, draw: int, repeat: int = 0) -> IntArray:
        """Returns how often each row occurs in a draw, `[n]`, where `repeat` counts redraws."""
        generator = np.random.default_rng([draw, repeat])
        if self._members is None:
            chosen = generator.integers(self.num_rows, size=self.num_rows)
        else:
            blocks = generator.integers(len(self._members), size=len(self._members))
            chosen = np.concatenate([self._members[block] for block in blocks])
        return np.bincount(chosen, minlength=self.num_rows)


class Resampled(NamedTuple):
    """Holds the mean difference of each draw, `[draws]`, and how many draws were repeated."""

    differences: FloatArray
    redrawn: int


def score_seeds(
    function: Callable[[Any, Any], float], labels: FloatArray, predictions: Any
) -> FloatArray:
    """Returns the score of each seed, `[S]`."""
    return np.array([float(function(labels, values)) for values in predictions])


def resample(cell: Cell, function: Callable[[Any, Any], float], draws: Draws) -> Resampled:
    """Computes the mean difference of contender and baseline on resampled rows.

    A draw on which the function raises `ValueError` or returns a number that is not finite is
    repeated: it has no positive row, for example.

    Raises:
        ValueError: If a draw still has no score after many repeats.
    """
    differences, redrawn = np.empty(NUM_DRAWS), 0
    for draw in range(NUM_DRAWS):
        for repeat in range(_MOST_REPEATS):
            chosen = np.repeat(np.arange(len(cell.rows)), draws.counts(draw, repeat)[cell.rows])
            differences[draw] = _difference(cell, function, chosen)
            if np.isfinite(differences[draw]):
                break
            redrawn += 1
        else:
            raise ValueError(
                f"{cell.name}: the function has no score on {_MOST_REPEATS} draws of rows, one "
                "after another; expected a finite number. There may be too few rows of a class."
            )
    return Resampled(differences, redrawn)


def _difference(cell: Cell, function: Callable[[Any, Any], float], chosen: IntArray) -> float:
    baseline, contender = cell.predictions
    labels = cell.labels[chosen]
    try:
        first = score_seeds(function, labels, baseline[:, chosen])
        second = score_seeds(function, labels, contender[:, chosen])
    except ValueError:
        return float("nan")
    return float((second - first).mean())
