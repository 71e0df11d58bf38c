"""Metrics of the server, in the form of Prometheus."""

from collections.abc import Callable, Sequence

import prometheus_client as prometheus

from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._watching._watch import Watch

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counts requests, batches and versions of one model.

    Args:
        model: The name of the model, a label of all metrics.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.registry = prometheus.CollectorRegistry()
        self.watch = Watch(model, self.registry)
        self._seconds = prometheus.Histogram(
            "mtl_request_seconds",
            "Seconds from the first byte of a request to its answer, by task; all is all tasks.",
            ["model", "task"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._requests = prometheus.Counter(
            "mtl_requests",
            "Requests by status and reason.",
            ["model", "code", "kind"],
            registry=self.registry,
        )
        self._batch_rows = prometheus.Histogram(
            "mtl_batch_rows",
            "Rows that were computed together.",
            ["model"],
            buckets=_ROWS,
            registry=self.registry,
        ).labels(model)
        self._version = prometheus.Gauge(
            "mtl_model_version",
            "Number of the version that is served.",
            ["model"],
            registry=self.registry,
        ).labels(model)
        self._queue = prometheus.Gauge(
            "mtl_waiting_rows", "Rows that wait for the model.", ["model"], registry=self.registry
        ).labels(model)
        self._versions = prometheus.Counter(
            "mtl_versions",
            "Versions that were loaded or refused.",
            ["model", "event"],
            registry=self.registry,
        )
        for event in ("loaded", "refused"):
            self._versions.labels(model, event)
        # Finding the child of a label takes longer than counting.
        self._seconds_of: dict[str, prometheus.Histogram] = {}
        self._requests_of: dict[tuple[int, str], prometheus.Counter] = {}

    def count_request(self, status: int, kind: str) -> None:
        """Counts an answer by its status and the kind of its refusal; "ok" is none."""
        key = (status, kind)
        if key not in self._requests_of:
            self._requests_of[key] = self._requests.labels(self.model, str(status), kind)
        self._requests_of[key].inc()

    def observe_seconds(self, task: str, seconds: float) -> None:
        """Observes how long the answer to a request took."""
        if task not in self._seconds_of:
            self._seconds_of[task] = self._seconds.labels(self.model, task)
        self._seconds_of[task].observe(seconds)

    def observe_batch(self, requests: Sequence[Request]) -> None:
        """Observes the size of a batch."""
        self._batch_rows.observe(sum(request.rows for request in requests))

    def count_version(self, event: str) -> None:
        """Counts a version that was loaded or refused."""
        self._versions.labels(self.model, event).inc()

    def follow(self, version: Callable[[], float], waiting_rows: Callable[[], float]) -> None:
        """Reads the version and the queue from the server whenever metrics are asked for."""
        self._version.set_function(version)
        self._queue.set_function(waiting_rows)

    def text(self) -> bytes:
        """Returns all metrics in the text form of Prometheus."""
        return prometheus.generate_latest(self.registry)
