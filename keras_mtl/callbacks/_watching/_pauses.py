"""Which tasks are paused, from the history of their metrics."""

import math
from collections.abc import Mapping, Sequence

from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric


class Pauses:
    """Says after each validated epoch which tasks train and which are paused.

    All that it knows follows from the values that it has been told, so that a run that goes on
    is told them again.

    Args:
        metrics: The watched metric of each task.
        patience: For how many epochs a task waits for a better value; a task without a number is
            never paused.
        tolerance: By how much the metric of a paused task may get worse before the task is woken;
            a task without a number stays paused.

    Attributes:
        paused: The value at which each paused task was paused.
    """

    def __init__(
        self,
        metrics: Sequence[WatchedMetric],
        patience: Mapping[str, int],
        tolerance: Mapping[str, float],
    ) -> None:
        self._metrics, self._patience, self._tolerance = metrics, patience, tolerance
        self._best: dict[str, float] = {}
        self._waits = dict.fromkeys(patience, 0)
        self.paused: dict[str, float] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Receives the values of an epoch by task."""
        for metric in self._metrics:
            task, value = metric.task, values[metric.task]
            if metric.is_better(value, self._best.get(task)):
                self._best[task] = value
                self._waits[task] = 0
            elif task not in self.paused:
                self._waits[task] = self._waits.get(task, 0) + 1
            if task in self.paused:
                if self._fell(metric, value):
                    del self.paused[task]
                    self._waits[task] = 0
            elif task in self._patience and self._waits[task] >= self._patience[task]:
                self.paused[task] = value

    def _fell(self, metric: WatchedMetric, value: float) -> bool:
        tolerance, before = self._tolerance.get(metric.task), self.paused[metric.task]
        # A value that is not finite tells nothing of how far the task has fallen.
        if tolerance is None or not (math.isfinite(value) and math.isfinite(before)):
            return False
        return (before - value if metric.mode == "max" else value - before) > tolerance
