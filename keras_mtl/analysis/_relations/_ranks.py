"""Spearman's correlation: ranks among the rows where both labels are present."""

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relations._patterns import unique_rows


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Computes rank correlations of pairs of columns, from rows that come several times.

    Columns that miss labels in the same rows form a set, and are ranked together.

    Args:
        codes: The position of each label among the sorted different labels of its column,
            `[rows, C]`.
        masks: For each set, the rows in which its labels are present, `[sets, rows]`.
        sets: The set of each column, `[C]`.
    """

    codes: npt.NDArray[np.intp]
    masks: npt.NDArray[np.bool_]
    sets: npt.NDArray[np.intp]

    @classmethod
    def of(cls, labels: FloatArray) -> "Ranks":
        """Sorts each column once, since ranks in any subset follow from this order."""
        codes = np.zeros(labels.shape, np.intp)
        for index, column in enumerate(labels.T):
            codes[:, index] = np.unique(column, return_inverse=True)[1]
        return cls(codes, *unique_rows(~np.isnan(labels).T))

    @property
    def cost(self) -> int:
        """The number of ranks that one comparison computes."""
        sizes = np.bincount(self.sets, minlength=len(self.masks))
        # Each column is ranked once among the rows of each set.
        return int(len(self.codes) * sizes.sum() * len(self.masks))

    def compare(self, counts: FloatArray | None = None) -> FloatArray:
        """Returns the rank correlations, `[C, C]`; NaN where a label is constant."""
        num_rows, num_columns = self.codes.shape
        weights = np.ones(num_rows) if counts is None else counts
        result = np.full((num_columns, num_columns), np.nan)
        for first in range(len(self.masks)):
            for second in range(first, len(self.masks)):
                rows = self.masks[first] & self.masks[second] & (weights > 0)
                left, right = (
                    np.flatnonzero(self.sets == first),
                    np.flatnonzero(self.sets == second),
                )
                block = _standardize_ranks(self.codes[np.ix_(rows, left)], weights[rows])
                other = block
                if first != second:
                    other = _standardize_ranks(self.codes[np.ix_(rows, right)], weights[rows])
                correlations = block.T @ other
                result[np.ix_(left, right)] = correlations
                result[np.ix_(right, left)] = correlations.T
        return np.asarray(np.clip(result, -1.0, 1.0))


def _standardize_ranks(codes: npt.NDArray[np.intp], weights: FloatArray) -> FloatArray:
    """Returns mid-ranks, centered and scaled so that products of columns are correlations."""
    ranks = np.empty(codes.shape)
    for index, column in enumerate(codes.T):
        totals = np.bincount(column, weights)
        # A value that comes t times takes the mean of t successive ranks.
        ranks[:, index] = (np.cumsum(totals) - (totals - 1) / 2)[column]
    if not len(ranks):
        return np.asarray(np.full((1, codes.shape[1]), np.nan))
    ranks -= weights @ ranks / weights.sum()
    roots = np.sqrt(weights)[:, None]
    squares = np.sum((roots * ranks) ** 2, axis=0)
    squares[squares <= 1e-9] = np.nan
    return np.asarray(roots * ranks / np.sqrt(squares))
