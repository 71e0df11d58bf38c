"""What is known of one task and of one column."""

import dataclasses
import math
from collections.abc import Sequence

from keras_mtl.serving._watching._calibration import Calibration
from keras_mtl.serving._watching._drift import Drift

LEAST_ROWS = 1000
"""With fewer values, only a large drift can be told from chance."""

FACTOR, MORE = 2.0, 0.05
"""Unknown and missing values are unusual beyond this multiple of the share of the reference and
this much more, as in the alerts that `configure` writes."""

MOST_OUTSIDE = 0.01
"""The share of numbers outside of the range beyond which a column is unusual, likewise."""


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """Holds the labels and probabilities of one bin.

    Args:
        labels: The number of labels.
        prediction: The mean probability.
        share: The share of labels that are yes.
        deviation: The standard deviation of that share if every probability is right.
    """

    labels: int
    prediction: float
    share: float
    deviation: float


@dataclasses.dataclass(frozen=True)
class TaskDrift:
    """Holds how far the predictions of a task are from the reference, and from its labels.

    Args:
        task: Its name.
        reads: The columns from which it is computed.
        drift: The index; `None` if there is nothing to compare.
        psi_bound: The index above which it is drift: at least .1, and beyond chance for all tasks
            together.
        edges: The cuts between bins; none if bins are classes.
        bins: The names of the bins.
        reference_counts: The number of predictions of the reference in each bin.
        counts: The number of new predictions in each bin.
        left_out: The number of predictions that are not finite.
        per_row: The number of values per row.
        calibration: The calibration error; `None` without labels.
        ece_bound: The error above which probabilities are off, likewise at least .02.
        reliability: Labels and probabilities by bin.
    """

    task: str
    reads: tuple[str, ...]
    drift: Drift | None
    psi_bound: float
    edges: tuple[float, ...]
    bins: tuple[str, ...]
    reference_counts: tuple[int, ...]
    counts: tuple[int, ...]
    left_out: int
    per_row: int
    calibration: Calibration | None
    ece_bound: float
    reliability: tuple[ReliabilityBin, ...]

    @property
    def verdict(self) -> str:
        """`"drift"`, `"no drift"`, `"too few rows"`, or `"not compared"`."""
        if self.drift is None:
            return "not compared"
        if self.drift.rows < LEAST_ROWS:
            return "too few rows"
        return "drift" if self.drift.psi > self.psi_bound else "no drift"

    @property
    def calibration_verdict(self) -> str:
        """`"off"`, `"calibrated"`, `"too few labels"`, or `"no labels"`."""
        if self.calibration is None:
            return "no labels"
        if self.calibration.rows < LEAST_ROWS:
            return "too few labels"
        return "off" if self.calibration.ece > self.ece_bound else "calibrated"

    @property
    def mean_label(self) -> float:
        """The share of labels that are yes, or of most probable classes that are right."""
        return self._mean([part.share for part in self.reliability])

    @property
    def mean_prediction(self) -> float:
        """The mean probability of the rows with labels."""
        return self._mean([part.prediction for part in self.reliability])

    def _mean(self, values: Sequence[float]) -> float:
        """Returns the mean over labels of a value by bin; NaN without labels."""
        labels = [part.labels for part in self.reliability]
        total = sum(count * value for count, value in zip(labels, values, strict=True))
        return total / sum(labels) if labels else math.nan


@dataclasses.dataclass(frozen=True)
class ColumnDrift:
    """Holds which values of a column are unusual; none of them is kept.

    Args:
        column: Its name.
        values: The number of values.
        unknown: The share of strings that are not known; `None` if none are watched.
        reference_unknown: That share in the reference.
        missing: The share of missing values.
        reference_missing: That share in the reference; `None` if it is not watched.
        nonfinite: The share of infinite numbers, and of NaN where the network fills none.
        outside: The share of finite numbers outside of the range of the reference; `None` if it has
            none.
    """

    column: str
    values: int
    unknown: float | None
    reference_unknown: float | None
    missing: float
    reference_missing: float | None
    nonfinite: float
    outside: float | None

    @property
    def findings(self) -> tuple[str, ...]:
        """What is unusual: `"unknown strings"`, `"missing values"`, `"numbers out of range"` or
        `"non-finite numbers"`."""
        return tuple(
            text
            for text, is_unusual in (
                ("unknown strings", _is_more(self.unknown, self.reference_unknown)),
                ("missing values", _is_more(self.missing, self.reference_missing)),
                ("numbers out of range", (self.outside or 0.0) > MOST_OUTSIDE),
                # A single one is refused by the server, whatever the number of rows.
                ("non-finite numbers", self.nonfinite > 0),
            )
            if is_unusual and (self.values >= LEAST_ROWS or text == "non-finite numbers")
        )

    @property
    def verdict(self) -> str:
        """`"unusual"`, `"usual"`, or `"too few rows"`."""
        if self.findings:
            return "unusual"
        return "usual" if self.values >= LEAST_ROWS else "too few rows"


def _is_more(share: float | None, usual: float | None) -> bool:
    """Returns whether a share is unusual beside that of the reference."""
    return (share or 0.0) > FACTOR * (usual or 0.0) + MORE
