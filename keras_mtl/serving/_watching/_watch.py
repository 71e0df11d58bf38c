"""What the version that is served predicts and is asked."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import prometheus_client as prometheus

from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._watching._bins import Bins
from keras_mtl.serving._watching._calibration import CalibrationCounts
from keras_mtl.serving._watching._drift import Drift, population_stability
from keras_mtl.serving._watching._reference import Reference

WINDOW_ROWS = 10_000
"""How many of the last predictions the drift is computed from, at least half and at most all."""


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
        self._labels: dict[str, CalibrationCounts] = {}

        def counter(name: str, text: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(name, text, ["model", *labels], registry=registry)

        def gauge(name: str, text: str) -> prometheus.Gauge:
            return prometheus.Gauge(name, text, ["model", "task"], registry=registry)

        self._bins = counter("mtl_prediction_bin", "Predictions by bin.", "task", "bin")
        self._values = counter("mtl_column_values", "Values of a watched column.", "column")
        self._unknown = counter("mtl_column_unknown", "Unknown strings of a column.", "column")
        self._missing = counter("mtl_column_missing", "Missing numbers of a column.", "column")
        self._refused = counter(
            "mtl_refused_values", "Requests refused for a value of a column.", "column", "kind"
        )
        self._missing_share = prometheus.Gauge(
            "mtl_column_missing_share",
            "Share of missing numbers on training rows.",
            ["model", "column"],
            registry=registry,
        )
        self._drift = {
            "psi": gauge("mtl_prediction_psi", "Population stability index of the predictions."),
            "null_99": gauge("mtl_prediction_psi_null99", "What 99 % stay below without drift."),
            "rows": gauge("mtl_prediction_rows", "Predictions in the index."),
        }
        self._calibration = {
            "ece": gauge("mtl_calibration_ece", "Calibration error of returned labels."),
            "null_99": gauge("mtl_calibration_ece_null99", "What 99 % stay below if calibrated."),
            "rows": gauge("mtl_calibration_rows", "Labels in the error."),
        }

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
                self._count_columns(reference, request)

    def add_labels(self, task: str, labels: Sequence[Any], predictions: Sequence[Any]) -> None:
        """Adds labels that came back, beside the probabilities that were predicted for them.

        Raises:
            ValueError: If they do not fit each other, or are no labels and probabilities.
        """
        with self._lock:
            counts = self._labels.get(task) or CalibrationCounts()
            counts.add(labels, predictions)
            if task not in self._labels:
                self._labels[task] = counts
                for fact, gauge in self._calibration.items():
                    read = self._reader(lambda: counts.result(), fact)
                    gauge.labels(self._model, task).set_function(read)

    def count_refused(self, column: str, kind: str) -> None:
        """Counts a request that was refused for a value of a column."""
        self._refused.labels(self._model, column, kind).inc()

    def _begin(self, number: int, reference: Reference) -> None:
        """Begins to count for another version: predictions of the old one say nothing of it."""
        for task in self._windows:
            for gauge in self._drift.values():
                gauge.remove(self._model, task)
        self._number, self._reference = number, reference
        for column, share in reference.missing.items():
            self._missing_share.labels(self._model, column).set(share)
        self._windows = {
            task: Window(bins, self._window_rows) for task, bins in reference.bins.items()
        }
        for task, window in self._windows.items():
            for fact, gauge in self._drift.items():
                gauge.labels(self._model, task).set_function(self._reader(window.drift, fact))

    def _reader(self, result: Callable[[], Any], fact: str) -> Callable[[], float]:
        def read() -> float:
            with self._lock:
                value = result()
            return math.nan if value is None else float(getattr(value, fact))

        return read

    def _count_columns(self, reference: Reference, request: Request) -> None:
        for name, known in reference.strings.items():
            if name in request.values:
                values = request.values[name]
                self._values.labels(self._model, name).inc(len(values))
                unknown = sum(value not in known for value in values)
                self._unknown.labels(self._model, name).inc(unknown)
        for name in reference.missing:
            if name in request.values:
                values = request.values[name]
                self._values.labels(self._model, name).inc(len(values))
                self._missing.labels(self._model, name).inc(sum(map(math.isnan, values)))


def _asked(
    task: str, requests: Sequence[Request], predictions: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Returns the predictions of those requests that asked for the task."""
    if all(task in request.outputs for request in requests):
        return predictions
    asked = [np.full(request.rows, task in request.outputs) for request in requests]
    chosen: npt.NDArray[Any] = predictions[np.concatenate(asked)]
    return chosen
