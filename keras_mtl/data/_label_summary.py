"""The summary of a task's labels in a dataset: counts, classes, moments."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass
class LabelSummary:
    """Summarizes the labels of a task, or of one of its columns, in a dataset.

    Args:
        examples: The number of examples.
        entries: The number of labels that there would be if none were missing: one per example,
            or one per token, pixel or column.
        labels: The number of labels that there are.
        classes: The number of labels of each class, for yes-or-no labels and classes.
        mean: Mean of the labels.
        std: Standard deviation of the labels.
        low: Smallest label.
        high: Largest label.
        columns: By name or number, a summary of each column of a task with several columns.
        partly: The number of examples that have labels of some of these columns, not of all.
        whole: Whether all labels are whole numbers.

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
    partly: int = 0
    whole: bool = True

    @property
    def missing(self) -> float:
        """The share of labels that are missing."""
        return 1 - self.labels / self.entries if self.entries else 0.0

    @property
    def yes_or_no(self) -> bool:
        """Whether 0 and 1 are the only labels, and both come."""
        return self.whole and (self.low, self.high) == (0, 1)

    def add(self, values: npt.NDArray[Any], weights: npt.NDArray[Any], *, classes: bool) -> None:
        """Adds the labels of a batch.

        Args:
            values: The labels, `(batch, ...)`.
            weights: Their weights, of the same shape. A positive weight marks a label, 0 a missing
                one, and a negative weight an entry that does not count at all (padding).
            classes: Whether labels are classes, to be counted one by one.
        """
        self.examples += len(values)
        self.entries += int(np.sum(weights >= 0))
        values = values[weights > 0].astype(np.float64)
        if not values.size:
            return
        self.whole = self.whole and bool((values == np.round(values)).all())
        if classes:
            for value, count in zip(*np.unique(values, return_counts=True), strict=True):
                self.classes[int(value)] = self.classes.get(int(value), 0) + int(count)
        # Means and sums of squares of two parts are put together by the formula of Chan, Golub
        # and LeVeque, which stays accurate where the mean is much larger than the deviation.
        total, shift = self.labels + values.size, values.mean() - self.mean
        squares = self.std**2 * self.labels + values.var() * values.size
        self.std = float(np.sqrt((squares + shift**2 * self.labels * values.size / total) / total))
        self.mean += float(shift * values.size / total)
        self.labels = total
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
