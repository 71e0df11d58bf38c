"""The statistics of labels that scales are fitted by, gathered batch by batch."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl._tasks._scale import Scale

Numbers = npt.NDArray[np.float64]

_NORMAL_QUARTILES = 1.3489795003921634  # between the quartiles of a standard normal distribution
_LISTED = 5


class LabelStatistics:
    """Gathers center and spread of the valid labels, in float64, for each entry by itself.

    A label counts if it is not NaN and its sample weight is not 0. All that count do so once:
    a scale is a unit, and no estimate.

    Args:
        name: The task, which messages begin with.
        scale: The scale to be fitted.
        entries: The number of entries of the last axis that have a center of their own.
        columns: The names of the entries. Defaults to their positions.
    """

    def __init__(
        self, name: str, scale: Scale, entries: int, columns: Sequence[str] | None = None
    ) -> None:
        self.name = name
        self.scale = scale
        self.columns = np.array(columns or [str(i) for i in range(entries)])
        self.counts = np.zeros(entries)
        self.means = np.zeros(entries)
        self.squares = np.zeros(entries)  # sums of squared distances from the mean
        self.lows = np.full(entries, np.inf)
        self.highs = np.full(entries, -np.inf)
        self._kept: list[Numbers] = []  # quartiles need all labels

    def add(self, labels: Any, sample_weight: Any = None) -> None:
        """Adds the labels of a batch.

        Args:
            labels: Labels `(batch, ...)`, whose last axis has the entries if there are several.
            sample_weight: `None`, or weights with the first axes of the labels.

        Raises:
            ValueError: If the labels have another shape, are no numbers, are infinite, or below
                the smallest one that the scale takes.
        """
        try:
            values, valid = self._read(labels, sample_weight)
        except ValueError as error:
            raise ValueError(f"task {self.name!r}: {error}.") from error
        if self.scale.method == "robust":
            self._kept.append(np.where(valid, values, np.nan))
        filled = np.where(valid, values, 1.0)
        self.lows = np.minimum(self.lows, np.where(valid, values, np.inf).min(0, initial=np.inf))
        self.highs = np.maximum(
            self.highs, np.where(valid, values, -np.inf).max(0, initial=-np.inf)
        )
        if self.scale.method == "log":
            filled = np.log(filled)
        elif self.scale.method == "log1p":
            filled = np.log1p(filled)
        self._add_moments(filled, valid)

    def _read(self, labels: Any, sample_weight: Any) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Returns labels as numbers `[labels, entries]`, and which of them are valid."""
        values = _to_numbers(labels)
        entries = len(self.counts)
        if entries > 1 and (values.ndim < 2 or values.shape[-1] != entries):
            raise ValueError(
                f"its labels have {entries} entries in their last axis; received labels of the "
                f"shape {values.shape}"
            )
        valid = ~np.isnan(values) & _has_weight(sample_weight, values.shape)
        values, valid = values.reshape(-1, entries), valid.reshape(-1, entries)
        self._check(values[valid])
        return values, valid

    def _add_moments(self, values: Numbers, valid: npt.NDArray[np.bool_]) -> None:
        """Adds the mean and the squares of a batch by the formula of Chan, Golub and LeVeque."""
        counts = valid.sum(0)
        means = np.where(valid, values, 0.0).sum(0) / np.maximum(counts, 1)
        squares = np.where(valid, (values - means) ** 2, 0.0).sum(0)
        totals = np.maximum(self.counts + counts, 1)
        shifts = np.where(counts > 0, means - self.means, 0.0)
        self.squares += squares + shifts**2 * self.counts * counts / totals
        self.means += shifts * counts / totals
        self.counts += counts

    def _check(self, values: Numbers) -> None:
        if not np.isfinite(values).all():
            raise ValueError("a label is infinite; a missing label is NaN, or has weight 0")
        lowest = self.scale.lowest
        if lowest is not None and values.size and values.min() < lowest:
            bound, cure = ("at least 0", "'standard'")
            if self.scale.method == "log":
                bound, cure = ("above 0", "'log1p' for zeros, 'standard' for negative labels")
            raise ValueError(
                f"the scale {self.scale.method!r} takes labels {bound}; received "
                f"{values.min():g}. Take {cure}"
            )

    def fit(self) -> Scale:
        """Returns the fitted scale.

        Warns of entries with one value only: their spread is 1, and without any label their center
        is 0.

        Raises:
            ValueError: If there is no label, or the middle half of the labels is one value, which
                `"robust"` cannot divide by.
        """
        if not self.counts.any():
            raise ValueError(
                f"task {self.name!r} has no valid label in this data, and its scale is not fitted."
            )
        center, spread = self._numbers()
        still = ~(self.lows < self.highs)
        flat = ~still & ~(spread > 0.0)
        of_several = len(center) > 1
        if flat.any():
            raise ValueError(
                f"task {self.name!r}: half of its labels"
                + (f" of {_list(self.columns[flat])}" if of_several else "")
                + f" are one value, by which {self.scale.method!r} cannot divide; take 'standard'."
            )
        if still.any():
            what = "all its labels are one value"
            if of_several:
                what = f"{_list(self.columns[still])} have no label, or one value only"
            warnings.warn(
                f"task {self.name!r}: {what}: there is nothing to learn, and the spread of the "
                "scale is 1 there.",
                stacklevel=3,
            )
        center = np.where(self.counts > 0, center, 0.0)
        return Scale(self.scale.method, center.tolist(), np.where(still, 1.0, spread).tolist())

    def _numbers(self) -> tuple[Numbers, Numbers]:
        """Returns center and spread of each entry; NaN or any number where it has no label."""
        if self.scale.method == "minmax":
            known = self.counts > 0
            lows, highs = (np.where(known, value, 0.0) for value in (self.lows, self.highs))
            return lows, highs - lows
        if self.scale.method == "robust":
            columns = np.concatenate(self._kept).T
            quartiles = np.array([_quartiles(column[~np.isnan(column)]) for column in columns])
            return quartiles[:, 1], (quartiles[:, 2] - quartiles[:, 0]) / _NORMAL_QUARTILES
        return self.means, np.sqrt(self.squares / np.maximum(self.counts, 1))


def _quartiles(values: Numbers) -> Numbers:
    return np.quantile(values, (0.25, 0.5, 0.75)) if values.size else np.zeros(3)


def _to_numbers(labels: Any) -> Numbers:
    try:
        return np.asarray(labels, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"its labels are no dense numbers ({error}); data.mask_missing makes ragged ones dense"
        ) from error


def _has_weight(sample_weight: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Returns which labels have a weight that is not 0, in their shape."""
    if sample_weight is None:
        return np.ones(shape, bool)
    weights = np.asarray(sample_weight)
    while weights.ndim > len(shape) and weights.shape[-1] == 1:
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    try:
        return np.broadcast_to(weights != 0, shape)
    except ValueError as error:
        raise ValueError(
            f"sample weights of the shape {np.shape(sample_weight)} do not fit labels of the shape "
            f"{shape}"
        ) from error


def _list(names: npt.NDArray[Any]) -> str:
    """Returns the first names of columns, separated by commas."""
    more = ", ..." if len(names) > _LISTED else ""
    return f"{len(names)} column(s) ({', '.join(names[:_LISTED])}{more})"
