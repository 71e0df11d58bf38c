"""Pairs of gradients, from Gramians that are averaged over steps."""

import dataclasses

import numpy as np

from keras_mtl.analysis._gramians._read import are_active, diagonals, scale_of
from keras_mtl.analysis._inputs._numbers import FloatArray


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Holds what compares two gradients, all `[K, K]`, NaN where a gradient is missing.

    Args:
        gramian: Means over the steps in which both tasks are active.
        cosines: Cosines of the gradients.
        magnitudes: Similarity of their lengths, from 0 to 1.
        bounds: The multi-task bounding measure.
    """

    gramian: FloatArray
    cosines: FloatArray
    magnitudes: FloatArray
    bounds: FloatArray


def compare_pairs(steps: FloatArray) -> Pairs:
    """Returns means over steps, and the ratios of these means.

    Both lengths of a pair are averaged over the steps in which both tasks are active: means over
    different steps could give a cosine above 1.
    """
    scale = scale_of(steps)
    active = are_active(steps).astype(np.float64)
    num_steps = active.T @ active  # [K, K], in which both tasks are active
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nan_to_num(steps / scale).sum(axis=0) / num_steps
        # squares[i, j]: the mean of G_ii over the steps in which i and j are active
        squares = np.nan_to_num(diagonals(steps) / scale).T @ active / num_steps
        squares = np.where((squares > 0) & (squares.T > 0), squares, np.nan)
        lengths = np.sqrt(squares)
        product, total = lengths * lengths.T, squares + squares.T
        cosines = mean / product
        bounds = (1 - cosines**2) * (total - 2 * mean) / (total + 2 * mean)
    # Opposed gradients of one length: 0 times infinity.
    bounds[~np.isfinite(bounds)] = np.nan
    return Pairs(mean * scale, cosines, 2 * product / total, bounds)
