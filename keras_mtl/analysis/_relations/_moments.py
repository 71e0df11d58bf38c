"""Covariance and Pearson's correlation over the rows where both labels are present."""

import dataclasses

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray

_ROUNDING = 1e-12
"""A variance below this share of the mean square is that of a constant, up to rounding."""


@dataclasses.dataclass(frozen=True)
class Moments:
    """Computes moments of pairs of columns, from rows that come several times or not at all.

    Args:
        values: Standardized labels, 0 where missing, `[rows, C]`.
        present: 1 where a label is present, else 0, `[rows, C]`.
        scales: The unit of each column, `[C]`.
    """

    values: FloatArray
    present: FloatArray
    scales: FloatArray

    @classmethod
    def of(cls, labels: FloatArray) -> "Moments":
        """Standardizes labels, so that sums of squares lose no digits."""
        present = ~np.isnan(labels)
        counts = np.maximum(present.sum(axis=0), 1)
        # Divided first, since a sum of huge labels could overflow.
        sizes = np.abs(np.nan_to_num(labels)).max(axis=0, initial=0)
        sizes[sizes == 0] = 1.0
        values = np.where(present, labels / sizes, 0.0)
        values = np.where(present, values - values.sum(axis=0) / counts, 0.0)
        spreads = np.sqrt(np.sum(values**2, axis=0) / counts)
        spreads[spreads <= _ROUNDING] = 1.0
        return cls(values / spreads, present.astype(np.float64), sizes * spreads)

    def compare(self, counts: FloatArray | None = None) -> tuple[FloatArray, ...]:
        """Returns numbers of joint rows, covariances and correlations, all `[C, C]`.

        Args:
            counts: How often each row comes; once by default.
        """
        x, present = self.values, self.present
        weighted = present if counts is None else present * counts[:, None]
        rows = present.T @ weighted
        # sums[i, j] and squares[i, j]: of column i over the rows in which j is present, too.
        sums, squares = x.T @ weighted, (x * x).T @ weighted
        products = x.T @ (x if counts is None else x * counts[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            products = products - sums * sums.T / rows
            spreads = squares - sums**2 / rows
            spreads[spreads <= _ROUNDING * np.maximum(squares, 1)] = np.nan
            correlations = products / np.sqrt(spreads * spreads.T)
            covariances = products / (rows - 1) * np.outer(self.scales, self.scales)
        covariances[np.isnan(correlations)] = np.nan
        return rows, covariances, np.clip(correlations, -1.0, 1.0)
