"""Unusual values of columns, as metrics of Prometheus."""

import dataclasses
import math
from collections.abc import Callable

import prometheus_client as prometheus

from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._watching._reference import Reference


@dataclasses.dataclass(slots=True)
class _Column:
    """Holds what is usual in a column, and its counters; `None` for what is not looked at."""

    name: str
    values: prometheus.Counter
    known: frozenset[str] = frozenset()
    unknown: prometheus.Counter | None = None
    missing: prometheus.Counter | None = None
    range: tuple[float, float] = (-math.inf, math.inf)
    outside: prometheus.Counter | None = None


class ColumnCounts:
    """Counts unknown strings, missing numbers and numbers out of range, by column.

    Args:
        model: The name of the model.
        registry: Where the metrics are registered.
    """

    def __init__(self, model: str, registry: prometheus.CollectorRegistry) -> None:
        self._model = model
        self._columns: list[_Column] = []

        def make_counter(name: str, text: str) -> Callable[[str], prometheus.Counter]:
            counter = prometheus.Counter(name, text, ["model", "column"], registry=registry)
            return lambda column: counter.labels(model, column)

        self._values = make_counter("mtl_column_values", "Values of a watched column.")
        self._unknown = make_counter("mtl_column_unknown", "Unknown strings of a column.")
        self._missing = make_counter("mtl_column_missing", "Missing numbers of a column.")
        self._outside = make_counter(
            "mtl_column_outside", "Numbers of a column outside of the range of the reference."
        )
        self._shares = [
            prometheus.Gauge(
                f"mtl_column_{what}_share",
                f"Share of {what} values on rows of the reference.",
                ["model", "column"],
                registry=registry,
            )
            for what in ("unknown", "missing")
        ]

    def begin(self, reference: Reference) -> None:
        """Begins to count by another reference."""
        for gauge, shares in zip(self._shares, (reference.unknown, reference.missing), strict=True):
            for name, share in shares.items():
                gauge.labels(self._model, name).set(share)
        self._columns = [
            _Column(name, self._values(name), known=known, unknown=self._unknown(name))
            for name, known in reference.strings.items()
        ]
        for name in dict.fromkeys([*reference.missing, *reference.ranges]):
            column = _Column(name, self._values(name))
            if name in reference.missing:
                column.missing = self._missing(name)
            if name in reference.ranges:
                column.range, column.outside = reference.ranges[name], self._outside(name)
            self._columns.append(column)

    def count(self, request: Request) -> None:
        """Counts the values of one request."""
        for column in self._columns:
            if column.name not in request.values:
                continue
            values = request.values[column.name]
            column.values.inc(len(values))
            if column.unknown:
                column.unknown.inc(sum(value not in column.known for value in values))
            if column.missing:
                column.missing.inc(sum(value != value for value in values))
            if column.outside:
                low, high = column.range
                column.outside.inc(sum(value < low or value > high for value in values))
