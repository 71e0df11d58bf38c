"""Corrections of p-values for many tasks."""

import numpy as np
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray

MOST_BY_HOLM = 20
"""Above this number of tests, the share of false claims is limited instead of their occurrence."""


def correct(p_values: FloatArray) -> tuple[FloatArray, str]:
    """Corrects p-values: by Holm up to 20 of them, by Benjamini and Hochberg above.

    Args:
        p_values: `[R]`, NaN where there is no test, which is then none of the family.

    Returns:
        The corrected values `[R]`, and the name of the correction.
    """
    corrected = np.full(len(p_values), np.nan)
    tested = ~np.isnan(p_values)
    count = int(tested.sum())
    if count > MOST_BY_HOLM:
        corrected[tested] = scipy.stats.false_discovery_control(p_values[tested])
        return corrected, "Benjamini-Hochberg"
    corrected[tested] = holm(p_values[tested])
    return corrected, "Holm"


def holm(p_values: FloatArray) -> FloatArray:
    """Returns p-values after Holm's correction (1979): the chance of any false claim is limited.

    The i-th smallest of R values is multiplied by R - i + 1, and none falls below the one before.
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected
