"""The expected calibration error, beside its value for calibrated probabilities."""

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_mtl.serving._watching._drift import _Z99

BINS = 10


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Holds an expected calibration error, and what it would be for calibrated probabilities.

    Args:
        ece: The error.
        null_mean: Its mean if every probability is right.
        null_99: The value that it exceeds in 1 % of the cases if every probability is right.
        rows: The number of labels.

    Example:
        >>> Calibration(0.2, 0.017, 0.033, 1000).is_off
        True
    """

    ece: float
    null_mean: float
    null_99: float
    rows: int

    @property
    def is_off(self) -> bool:
        """Whether there are 1,000 labels or more, and the error is above its 99 % value."""
        return self.rows >= 1000 and self.ece > self.null_99

    def __str__(self) -> str:
        verdict = "off" if self.is_off else "calibrated" if self.rows >= 1000 else "too few labels"
        return (
            f"ECE {self.ece:.3f} of {self.rows} labels (calibrated {self.null_mean:.3f}, 99 % "
            f"below {self.null_99:.3f}): {verdict}"
        )


class CalibrationCounts:
    """Counts labels and sums probabilities in ten bins of equal width.

    Example:
        >>> counts = CalibrationCounts()
        >>> counts.add([1, 0], [0.9, 0.1])
        >>> counts.result().rows
        2
    """

    def __init__(self) -> None:
        # By bin: labels, labels that are yes, probabilities, and their variance p (1 - p).
        self._sums = np.zeros((4, BINS))

    def add(self, labels: npt.ArrayLike, predictions: npt.ArrayLike) -> None:
        """Adds labels 0 or 1 and the probabilities that were predicted for them.

        Raises:
            ValueError: If their shapes differ, or a value is out of range.
        """
        y, p = np.asarray(labels, float).ravel(), np.asarray(predictions, float).ravel()
        if y.shape != p.shape:
            raise ValueError(f"there are {len(y)} labels and {len(p)} predictions.")
        if not np.isin(y, (0, 1)).all():
            raise ValueError("labels must be 0 or 1.")
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError("predictions must be probabilities between 0 and 1.")
        places = np.minimum((p * BINS).astype(int), BINS - 1)
        for sums, weights in zip(self._sums, (np.ones_like(p), y, p, p * (1 - p)), strict=True):
            sums += np.bincount(places, weights, BINS)

    def result(self) -> Calibration:
        """Returns the error of all labels so far.

        Raises:
            ValueError: If there are none.
        """
        labels, yes, predicted, _ = self._sums
        rows = int(labels.sum())
        if rows < 1:
            raise ValueError("there are no labels.")
        null, deviation, _ = self._null()
        error = float(np.abs(yes - predicted).sum() / rows)
        return Calibration(error, null, null + _Z99 * deviation, rows)

    def quantile(self, normal_quantile: float) -> float:
        """Returns a quantile of the error if every probability is right.

        Far in the tail the sum of half normal variables is longer than a normal one: the quantile
        is corrected for its skewness (Cornish and Fisher 1938).

        Args:
            normal_quantile: The quantile of the normal distribution for the same probability.
        """
        null, deviation, skewness = self._null()
        z = normal_quantile
        return null + deviation * (z + (z * z - 1) / 6 * skewness)

    def bins(self) -> npt.NDArray[np.float64]:
        """Returns labels, labels that are yes, sum of probabilities, its variance, `(4, bins)`."""
        return self._sums.copy()

    def _null(self) -> tuple[float, float, float]:
        """Returns mean, deviation and skewness of the error if every probability is right."""
        # Each bin's |yes - predicted| / n is half normal then.
        spread = np.sqrt(self._sums[3]) / self._sums[0].sum()
        mean = float(spread.sum() * np.sqrt(2 / np.pi))
        variance = float((spread**2).sum() * (1 - 2 / np.pi))
        third = float((spread**3).sum() * np.sqrt(2 / np.pi) * (4 / np.pi - 1))
        return mean, float(np.sqrt(variance)), third / variance**1.5 if variance else 0.0


def calibration_error(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Calibration:
    """Returns how far predicted probabilities are from the labels that came back.

        ECE = sum_b n_b / n |mean label - mean prediction| of ten bins of equal width

    Even calibrated probabilities have an error, .05 for 100 labels and .017 for 1,000: compare it
    with `null_99`, which holds for the predictions at hand.

    Choose it for yes-or-no tasks whose labels arrive later. Not for labels that come back for a
    selection only, such as for granted credits: their error is that of the selection.

    Args:
        labels: 0 or 1, `(rows,)`.
        predictions: Probabilities, `(rows,)`.

    Raises:
        ValueError: If shapes differ, a value is out of range, or there are no rows.

    Example:
        >>> random = np.random.default_rng(0)
        >>> p = random.uniform(size=2000)
        >>> y = random.uniform(size=2000) < p
        >>> calibration_error(y, p).is_off, calibration_error(y, p**2).is_off
        (False, True)

    Reference:
        Guo et al. 2017, arXiv:1706.04599, for the error; its value without miscalibration is ours.
    """
    counts = CalibrationCounts()
    counts.add(labels, predictions)
    return counts.result()
