"""Labels that came back, and the calibration of the versions that predicted them."""

import functools
import math
import threading
from collections.abc import Sequence
from typing import Any

import prometheus_client as prometheus

from keras_mtl.serving._watching._bounds import bound_ece
from keras_mtl.serving._watching._calibration import CalibrationCounts

MOST_VERSIONS = 4
"""Of how many versions labels are counted: those whose labels came last."""

_FACTS = {
    "mtl_calibration_ece": "Calibration error of returned labels.",
    "mtl_calibration_ece_null99": "What 99 % stay below if calibrated.",
    "mtl_calibration_ece_bound": "Error that is off: beyond chance for all tasks together.",
    "mtl_calibration_rows": "Labels in the error.",
}


class ReturnedLabels:
    """Counts labels by version and task: another version's probabilities say nothing of this one's.

    Args:
        model: The name of the model.
        registry: Where the metrics are registered.
    """

    def __init__(self, model: str, registry: prometheus.CollectorRegistry) -> None:
        self._model = model
        self._lock = threading.Lock()
        # By version, the one whose labels came last at the end; then by task.
        self._counts: dict[int, dict[str, CalibrationCounts]] = {}
        labels = ["model", "task", "version"]
        self._gauges = [
            prometheus.Gauge(name, text, labels, registry=registry) for name, text in _FACTS.items()
        ]

    def add(
        self, number: int, task: str, labels: Sequence[Any], predictions: Sequence[Any]
    ) -> None:
        """Adds labels beside the probabilities that a version predicted for them.

        Raises:
            ValueError: If they do not fit each other, or are no labels and probabilities.
        """
        with self._lock:
            tasks = self._counts.get(number, {})
            counts = tasks.get(task) or CalibrationCounts()
            counts.add(labels, predictions)
            is_new = task not in tasks and bool(len(labels))
            if is_new:
                tasks[task] = counts
            if tasks:
                self._counts.pop(number, None)
                self._counts[number] = tasks
        if is_new:
            for place, gauge in enumerate(self._gauges):
                child = gauge.labels(self._model, task, str(number))
                child.set_function(functools.partial(self._read, number, task, place))
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._counts) > MOST_VERSIONS:
            with self._lock:
                number = next(iter(self._counts))
                tasks = self._counts.pop(number)
            for task in tasks:
                for gauge in self._gauges:
                    gauge.remove(self._model, task, str(number))

    def _read(self, number: int, task: str, place: int) -> float:
        """Returns the value of one gauge."""
        with self._lock:
            tasks = self._counts.get(number, {})
            if task not in tasks:
                return math.nan
            counts = tasks[task]
            result = counts.result()
            bound = bound_ece(counts, len(tasks))
        return float((result.ece, result.null_99, bound, result.rows)[place])
