"""Means of measurements, some of which are missing."""

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray


def nan_mean(values: FloatArray) -> FloatArray:
    """Returns means over the first axis of all numbers that exist, NaN where there is none."""
    counts = np.sum(~np.isnan(values), axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / counts)
