"""Variances over rows and over seeds, and the interval of their sum."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.special

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._read_labels import IntArray

LEVEL = 0.95
"""The level of all intervals; a claim is made if its corrected p-value is at most 1 - LEVEL."""


_ROUNDING = 1e-9
"""A standard error below this share of the difference is one of rounding."""


_FEW_SEEDS = {2: 8.0, 3: 2.0}
"""How many times the variance over so few seeds counts in the degrees of freedom."""


class RowVariance(NamedTuple):
    """Holds the variance of a mean difference over resampled test rows, with degrees of freedom."""

    variance: float
    freedom: float


def variance_over_rows(
    influence: FloatArray, strata: npt.NDArray[Any] | None = None, blocks: IntArray | None = None
) -> RowVariance:
    """Computes the variance that a bootstrap of the rows estimates, without its noise.

    With G blocks, rows are drawn by block: G / (G - 1) times the sum over the blocks of the
    squared sums of influence. With strata, rows are drawn within each class c of n_c labels, and

        V2 = sum_c V_c,    V_c = n_c / (n_c - 1) sum over rows of (influence - its mean in c)^2
        degrees of freedom = V2^2 / sum_c V_c^2 / (n_c - 1)

    which for an AUC is DeLong's variance. Blocks go before strata: a block holds both classes.

    Args:
        influence: The influence of each row on the mean difference, `[m]`.
        strata: The class of each row, `[m]`.
        blocks: The number of the block of each row, `[m]`.
    """
    if blocks is not None:
        sums = np.asarray(np.bincount(blocks, influence), np.float64)
        sums = sums[np.bincount(blocks) > 0]
        return _of_strata(sums, np.zeros(len(sums)))
    return _of_strata(influence, np.zeros(len(influence)) if strata is None else strata)


def _of_strata(influence: FloatArray, strata: npt.NDArray[Any]) -> RowVariance:
    _, numbers = np.unique(strata, return_inverse=True)
    counts = np.bincount(numbers)
    means = np.bincount(numbers, influence) / counts
    squares = np.bincount(numbers, (influence - means[numbers]) ** 2)
    # A class of one row has no variance that could be known.
    freedoms = np.maximum(counts - 1.0, 1.0)
    variances = squares * counts / freedoms
    total = float(variances.sum())
    divisor = float((variances**2 / freedoms).sum())
    return RowVariance(total, total**2 / divisor if divisor > 0.0 else float(freedoms.sum()))


class Interval(NamedTuple):
    """Holds a mean difference, its standard error, and the degrees of freedom of its t-interval."""

    mean: float
    error: float
    freedom: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval at `LEVEL`."""
        if self.error == 0.0:
            return 0.0
        quantile = scipy.special.stdtrit(self.freedom, (1.0 + LEVEL) / 2.0)
        return float(quantile * self.error)

    def p_beyond(self, margin: float) -> float:
        """Returns the two-sided p-value of a mean beyond +-margin, at most 1."""
        excess = abs(self.mean) - margin
        if self.error == 0.0 or not np.isfinite(self.error):
            return 1.0 if self.error == 0.0 else float("nan")
        return float(min(1.0, 2.0 * scipy.special.stdtr(self.freedom, -excess / self.error)))


def combine(differences: FloatArray, over_rows: RowVariance | None) -> Interval:
    """Adds the variance over seeds and that over rows.

        V1 = variance of the S differences / S       V = V1 + V2
        degrees of freedom = V^2 / (c V1^2 / (S - 1) + V2^2 / f2), at least min(S - 1, f2)

    after Welch and Satterthwaite, with c = 1, but 2 for three seeds and 8 for two: few seeds are
    often alike by chance, and then the plain formula takes the rows for the only source. At worst
    it covers .92 for three seeds and .87 for two instead of .95; with c it is .94 and .93.

    The interaction of seeds and rows is in both terms, so that the interval is slightly wide. One
    seed leaves V2 alone, and no `over_rows` leaves V1 alone.

    Args:
        differences: The difference of each seed, `[S]`.
        over_rows: V2 and its degrees of freedom f2, or `None`.

    Returns:
        The interval. Its error is NaN if nothing varies although the difference is not 0: then
        there is no test.
    """
    num_seeds = len(differences)
    seeds = float(differences.var(ddof=1)) / num_seeds if num_seeds > 1 else 0.0
    rows, rows_freedom = over_rows or (0.0, 1.0)
    total = seeds + rows
    mean = float(differences.mean())
    if total <= (_ROUNDING * mean) ** 2:  # equal differences, up to the last bits
        return Interval(mean, 0.0 if mean == 0.0 else float("nan"), 1.0)
    divisor, least = rows**2 / rows_freedom, rows_freedom
    if num_seeds > 1:
        divisor += _FEW_SEEDS.get(num_seeds, 1.0) * seeds**2 / (num_seeds - 1)
        least = num_seeds - 1.0 if over_rows is None else min(num_seeds - 1.0, rows_freedom)
    freedom = max(least, total**2 / divisor) if divisor else float("inf")
    return Interval(mean, total**0.5, freedom)
