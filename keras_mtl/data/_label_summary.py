"""What a dataset holds of the labels of a task: counts, classes, moments."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass
class LabelSummary:
    """What a dataset holds of the labels of a task, or of one of its columns.

    Args:
        examples: How many examples there are.
        entries: How many labels there would be if none were missing: one an example, or one a
            token, pixel or column.
        labels: How many there are.
        classes: How many labels each class has; of yes-or-no labels and classes.
        mean: Mean of the labels.
        std: Standard deviation of the labels.
        low: Smallest label.
        high: Largest label.
        columns: By name or number, a summary of each column of a task with several.

    Example:
        >>> LabelSummary(examples=4, entries=4, labels=3).missing
        0.25
    """

    examples: int = 0
    entries: int = 0
    labels: int = 0
    classes: dict[int, int] = dataclasses.field(default_factory=dict)
    mean: float = 0.0
    std: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    columns: dict[str, "LabelSummary"] = dataclasses.field(default_factory=dict)

    @property
    def missing(self) -> float:
        """The share of labels that are missing."""
        return 1 - self.labels / self.entries if self.entries else 0.0

    def add(self, values: npt.NDArray[Any], weights: npt.NDArray[Any], *, classes: bool) -> None:
        """Counts the labels of a batch: those of positive weight, out of those not negative."""
        self.examples += len(values)
        self.entries += int(np.sum(weights >= 0))
        values = values[weights > 0].astype(np.float64)
        if not values.size:
            return
        if classes:
            for value, count in zip(*np.unique(values, return_counts=True), strict=True):
                self.classes[int(value)] = self.classes.get(int(value), 0) + int(count)
        # Means and sums of squares of two parts, put together (Chan, Golub and LeVeque).
        total, shift = self.labels + values.size, values.mean() - self.mean
        squares = self.std**2 * self.labels + values.var() * values.size
        self.std = float(np.sqrt((squares + shift**2 * self.labels * values.size / total) / total))
        self.mean += float(shift * values.size / total)
        self.labels = total
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
