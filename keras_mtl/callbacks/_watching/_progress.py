"""The best value of each task and of all together, and how many epochs ago it was."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric

Best = tuple[int, float]
"""An epoch, from 0, and the value in it."""


class Progress:
    """Follows the watched metrics over the epochs.

    All that it knows follows from the values that it has been told, so that a run that goes on
    is told them again.

    Args:
        metrics: The watched metric of each task.

    Attributes:
        epochs: The epochs that were told.
        values: The values by task in each of them.
        best: The best epoch and value of each task; tasks without a finite value are not in it.
        best_of_all: The best epoch of all tasks together, with its mean gain or mean rank; `None`
            before there was one.
    """

    def __init__(self, metrics: Sequence[WatchedMetric]) -> None:
        self.metrics = metrics
        self.epochs: list[int] = []
        self.values: list[dict[str, float]] = []
        self.best: dict[str, Best] = {}
        self.best_of_all: Best | None = None

    def add(self, epoch: int, values: Mapping[str, float]) -> list[str]:
        """Receives the values of an epoch by task; returns the tasks that improved."""
        self.epochs.append(epoch)
        self.values.append(dict(values))
        improved = []
        for metric in self.metrics:
            best = self.best.get(metric.task)
            if metric.is_better(values[metric.task], best and best[1]):
                self.best[metric.task] = epoch, values[metric.task]
                improved.append(metric.task)
        score = self._score()
        if score is not None:
            self.best_of_all = epoch, score
        return improved

    def waits(self) -> dict[str, int]:
        """Returns how many epochs ago each task was last better than ever before."""
        return {metric.task: self._since(self.best.get(metric.task)) for metric in self.metrics}

    def wait_of_all(self) -> int:
        """Returns how many epochs ago all tasks together were last better than ever before."""
        return self._since(self.best_of_all)

    def _since(self, best: Best | None) -> int:
        # Epochs that were told: without validation there is nothing to tell of an epoch.
        return len(self.epochs) if best is None else sum(epoch > best[0] for epoch in self.epochs)

    def _score(self) -> float | None:
        """Returns the mean gain or the mean rank of the last epoch if it is the best so far."""
        last = self.values[-1]
        if not all(math.isfinite(last[metric.task]) for metric in self.metrics):
            return None
        if self.metrics[0].baseline is not None:
            gain = float(np.mean([metric.gain(last[metric.task]) for metric in self.metrics]))
            delta = float(np.mean([m.min_delta / abs(m.baseline or 1.0) for m in self.metrics]))
            is_best = self.best_of_all is None or gain - delta > self.best_of_all[1]
            return gain if is_best else None
        # [epochs, tasks]; NaN and infinity rank last, equal values share their mean rank.
        table = np.array([[row[m.task] for m in self.metrics] for row in self.values], float)
        signs = np.array([-1.0 if metric.mode == "max" else 1.0 for metric in self.metrics])
        table = np.where(np.isfinite(table), table * signs, np.inf)
        ranks = stats.rankdata(table, axis=0).mean(axis=1)
        return float(ranks[-1]) if (ranks[-1] < ranks[:-1]).all() else None
