"""Representational similarity analysis: the order of the distances between rows."""

from collections.abc import Sequence

import numpy as np
import scipy.spatial.distance
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray


def distance_correlations(arrays: Sequence[FloatArray]) -> FloatArray:
    """Returns Spearman's correlation of the distances of all pairs of rows, `[K, K]`.

    NaN for a representation in which all distances are equal.
    """
    ranks = np.stack([_rank_distances(array) for array in arrays])
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = ranks @ ranks.T / np.outer(lengths, lengths)
    defined = lengths > 0
    result[defined, defined] = 1.0
    return np.asarray(np.where(defined & defined[:, None], result, np.nan))


def _rank_distances(array: FloatArray) -> FloatArray:
    """Returns the mid-ranks of the distances of all pairs of rows."""
    distances = scipy.spatial.distance.pdist(array)
    # Equal distances must stay equal: without this, rounding would order them at random.
    distances = np.round(distances / (distances.max() or 1.0), 10)
    return np.asarray(scipy.stats.rankdata(distances))
