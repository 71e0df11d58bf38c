"""What the version that is served predicts and is asked."""

import functools
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import prometheus_client as prometheus

from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._watching._bins import Bins
from keras_mtl.serving._watching._bounds import bound_psi
from keras_mtl.serving._watching._column_counts import ColumnCounts
from keras_mtl.serving._watching._drift import Drift, population_stability
from keras_mtl.serving._watching._reference import Reference
from keras_mtl.serving._watching._returned_labels import ReturnedLabels

WINDOW_ROWS = 10_000
"""How many of the last predictions the drift is computed from, at least half and at most all."""


_FACTS = {
    "mtl_prediction_psi": "Population stability index of the predictions.",
    "mtl_prediction_psi_null99": "What 99 % stay below without drift.",
    "mtl_prediction_psi_bound": "Index that is drift: beyond chance for all tasks together.",
    "mtl_prediction_rows": "Predictions in the index.",
}


class Window:
    """Counts the last predictions of a task: the rows of a full half, and those since then.

    Args:
        bins: How predictions are counted.
        rows: The most predictions that count.
    """

    def __init__(self, bins: Bins, rows: int = WINDOW_ROWS) -> None:
        self._bins = bins
        self._half = max(rows // 2, 1)
        self._last = np.zeros(len(bins.counts), np.int64)
        self._current = np.zeros(len(bins.counts), np.int64)

    @property
    def num_bins(self) -> int:
        """The number of bins."""
        return len(self._bins.counts)

    def add(self, predictions: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Adds predictions; returns how many are in each bin."""
        counts = self._bins.count(predictions)
        self._current += counts
        if self._current.sum() >= self._half:
            self._last, self._current = self._current, np.zeros_like(self._current)
        return counts

    def drift(self) -> Drift | None:
        """Returns the drift of the last predictions; `None` if there are none, or one bin alone."""
        counts = self._last + self._current
        if len(counts) < 2 or not counts.sum() or not sum(self._bins.counts):
            return None
        return population_stability(self._bins.counts, counts)


class Watch:
    """Counts predictions per task and values per column, as metrics of Prometheus.

    Args:
        model: The name of the model.
        registry: Where the metrics are registered.
        window_rows: The most predictions from which the drift is computed.
    """

    def __init__(
        self, model: str, registry: prometheus.CollectorRegistry, window_rows: int = WINDOW_ROWS
    ) -> None:
        self._model = model
        self._window_rows = window_rows
        self._lock = threading.Lock()
        self._reference: Reference | None = None
        self._number = -1
        self._windows: dict[str, Window] = {}
        self._columns = ColumnCounts(model, registry)
        self.labels = ReturnedLabels(model, registry)
        self._bins = prometheus.Counter(
            "mtl_prediction_bin", "Predictions by bin.", ["model", "task", "bin"], registry=registry
        )
        self._refused = prometheus.Counter(
            "mtl_refused_values",
            "Requests refused for a value of a column.",
            ["model", "column", "kind"],
            registry=registry,
        )
        self._gauges = [
            prometheus.Gauge(name, text, ["model", "task"], registry=registry)
            for name, text in _FACTS.items()
        ]

    def observe(
        self,
        number: int,
        reference: Reference | None,
        requests: Sequence[Request],
        outputs: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        """Counts the requests and predictions of one batch.

        Args:
            number: The version that computed it.
            reference: What training rows looked like; without it nothing is counted.
            requests: The requests of the batch.
            outputs: The outputs for the rows of all of them.
        """
        if reference is None:
            return
        with self._lock:
            if number != self._number or reference is not self._reference:
                self._begin(number, reference)
            for task, window in self._windows.items():
                if task in outputs:
                    counts = window.add(_asked(task, requests, outputs[task]))
                    for place in np.flatnonzero(counts):
                        child = self._bins.labels(self._model, task, str(place))
                        child.inc(int(counts[place]))
            for request in requests:
                self._columns.count(request)

    def count_refused(self, column: str, kind: str) -> None:
        """Counts a request that was refused for a value of a column."""
        self._refused.labels(self._model, column, kind).inc()

    def _begin(self, number: int, reference: Reference) -> None:
        """Begins to count for another version: predictions of the old one say nothing of it."""
        for task in self._windows:
            for gauge in self._gauges:
                gauge.remove(self._model, task)
        self._number, self._reference = number, reference
        self._columns.begin(reference)
        self._windows = {
            task: Window(bins, self._window_rows) for task, bins in reference.bins.items()
        }
        for task in self._windows:
            for place, gauge in enumerate(self._gauges):
                child = gauge.labels(self._model, task)
                child.set_function(functools.partial(self._read, task, place))

    def _read(self, task: str, place: int) -> float:
        """Returns the value of one gauge."""
        with self._lock:
            window = self._windows.get(task)
            drift = window.drift() if window else None
            if window is None or drift is None:
                return math.nan
            bound = bound_psi(drift, window.num_bins, len(self._windows))
        return float((drift.psi, drift.null_99, bound, drift.rows)[place])


def _asked(
    task: str, requests: Sequence[Request], predictions: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Returns the predictions of those requests that asked for the task."""
    if all(task in request.outputs for request in requests):
        return predictions
    asked = [np.full(request.rows, task in request.outputs) for request in requests]
    chosen: npt.NDArray[Any] = predictions[np.concatenate(asked)]
    return chosen
