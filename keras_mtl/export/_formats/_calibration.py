"""How far probabilities are from the shares that they announce."""

from typing import Any

import numpy as np
import numpy.typing as npt

_BINS = 15


class Calibration:
    """Gathers the expected calibration error of yes-or-no predictions, over all entries.

    The error is sum_b n_b / n * |mean label - mean probability| over 15 bins of equal width
    (Guo et al. 2017, arXiv:1706.04599, there of the most probable class; here of class 1). A
    calibrated task with n labels has about .5 / sqrt(n / 15), and not 0.

    Example:
        >>> calibration = Calibration()
        >>> calibration.add(np.array([0.0, 1.0]), np.array([0.25, 0.75]), np.ones(2))
        >>> calibration.error()
        0.25
    """

    def __init__(self) -> None:
        self._sums = np.zeros((3, _BINS))  # weights, labels, probabilities

    def add(self, labels: Any, probabilities: Any, weights: Any) -> None:
        """Adds predictions.

        Args:
            labels: 0 or 1, of any shape.
            probabilities: Of the same shape.
            weights: Likewise; 0 leaves an entry out.
        """
        p = _flat(probabilities)
        known = (_flat(weights) > 0) & np.isfinite(p)
        p, y, w = p[known], _flat(labels)[known], _flat(weights)[known]
        places = np.minimum((p * _BINS).astype(int), _BINS - 1)
        for row, values in enumerate((w, w * y, w * p)):
            self._sums[row] += np.bincount(places, values, _BINS)

    def error(self) -> float:
        """Returns the error; NaN without predictions."""
        weights, labels, probabilities = self._sums
        total = weights.sum()
        return float(np.abs(labels - probabilities).sum() / total) if total else float("nan")


def _flat(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray(values, np.float64).ravel()
