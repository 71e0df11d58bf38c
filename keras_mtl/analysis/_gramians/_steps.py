"""Single steps: which pairs conflict, and which tasks the weighted direction harms."""

from collections.abc import Sequence

import numpy as np
import scipy.stats

from keras_mtl.analysis._gramians._read import diagonals
from keras_mtl.analysis._inputs._numbers import FloatArray


def _lengths(steps: FloatArray) -> FloatArray:
    """Returns the lengths of the gradients, `[steps, K]`, NaN where one is missing or zero."""
    squares = diagonals(steps)
    return np.sqrt(np.where(squares > 0, squares, np.nan))


def conflict_rates(steps: FloatArray, thresholds: Sequence[float]) -> dict[float, FloatArray]:
    """Returns for each threshold S the share of steps with a cosine below -S, `[K, K]`."""
    lengths = _lengths(steps)
    cosines = steps / lengths[:, :, None] / lengths[:, None, :]
    num_steps = np.sum(~np.isnan(cosines), axis=0)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no step with both gradients
        return {limit: np.sum(cosines < -limit, axis=0) / num_steps for limit in thresholds}


def mean_rate(rates: FloatArray, steps: FloatArray) -> float:
    """Returns the share of all pairs and steps that conflict; NaN if there is no pair."""
    present = (~np.isnan(_lengths(steps))).astype(np.float64)
    num_steps = np.triu(present.T @ present, 1)
    total = num_steps.sum()
    return float(np.sum(np.nan_to_num(rates) * num_steps) / total) if total else np.nan


def chance_rates(thresholds: Sequence[float], num_variables: int) -> dict[float, float]:
    """Returns the rates for gradients with random directions in so many dimensions.

    The cosine c of two of them has (1 + c) / 2 distributed as Beta((n - 1) / 2, (n - 1) / 2).
    """
    shape = (num_variables - 1) / 2
    if not shape:  # in one dimension, a cosine is 1 or -1
        return {limit: 0.5 if limit < 1 else 0.0 for limit in thresholds}
    return {
        limit: float(scipy.stats.beta.cdf((1 - limit) / 2, shape, shape)) for limit in thresholds
    }


def direction_cosines(steps: FloatArray, weights: FloatArray) -> FloatArray:
    """Returns the cosines of each gradient with the direction sum_j w_j g_j, `[steps, K]`."""
    scales = np.abs(np.nan_to_num(steps)).max(axis=(1, 2), keepdims=True)
    scales[scales == 0] = 1.0
    scaled = steps / scales
    # A missing weight matters only where its task is active.
    weights = np.where(np.isnan(diagonals(steps)), 0.0, weights)
    products = np.einsum("sij,sj->si", np.nan_to_num(scaled), weights)
    squares = np.einsum("si,si->s", weights, products)
    with np.errstate(invalid="ignore"):
        length = np.sqrt(np.where(squares > 0, squares, np.nan))
    return np.asarray(products / (_lengths(scaled) * length[:, None]))
