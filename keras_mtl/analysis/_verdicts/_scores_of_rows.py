"""Metrics that are a mean over rows, or a function of such means."""

from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._checks import (
    Scores,
    Untestable,
    check_binary,
    check_classes,
    check_probabilities,
    of_class_one,
    of_numbers,
)
from keras_mtl.analysis._verdicts._read_predictions import Predictions

_EPSILON = 2.0**-23
"""Probabilities are clipped to [_EPSILON, 1 - _EPSILON], as scikit-learn clips float32."""


def log_losses(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns -log of the probability of each label, `[P, n]`."""
    del threshold
    check_probabilities(predictions)
    if predictions.ndim == 3:
        check_classes(labels, predictions.shape[2])
        chosen = labels.astype(int)[None, :, None]
        right = np.take_along_axis(predictions, chosen, axis=2)[:, :, 0].astype(np.float64)
    else:
        check_binary(labels)
        right = np.where(labels == 1.0, predictions, 1.0 - predictions.astype(np.float64))
    return -np.log(np.clip(right, _EPSILON, 1.0 - _EPSILON))


def squared_probability_errors(
    labels: FloatArray, predictions: Predictions, threshold: Any
) -> FloatArray:
    """Returns (p - y)^2 of yes-or-no labels, `[P, n]`."""
    del threshold
    check_binary(labels)
    check_probabilities(predictions)
    return (of_class_one(predictions).astype(np.float64) - labels) ** 2


def absolute_errors(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns |p - y|, `[P, n]`."""
    del threshold
    return np.abs(of_numbers(predictions) - labels)


def squared_errors(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns (p - y)^2, `[P, n]`."""
    del threshold
    return (of_numbers(predictions) - labels) ** 2


def mean(labels: FloatArray, rows: FloatArray) -> Scores:
    """Computes the mean of values of rows `[P, n]`."""
    values = rows.mean(axis=1)
    return Scores(values, (rows - values[:, None]) / len(labels))


def root_mean(labels: FloatArray, rows: FloatArray) -> Scores:
    """Computes the root of the mean: the root is taken after the mean, in each resample too."""
    means, influence = mean(labels, rows)
    roots = np.sqrt(means)
    slopes = np.divide(0.5, roots, out=np.zeros_like(roots), where=roots > 0.0)
    return Scores(roots, influence * slopes[:, None])


def explained_variance(labels: FloatArray, rows: FloatArray) -> Scores:
    """Computes R^2 = 1 - sum of squared errors / sum of squared distances of labels to their mean.

    Raises:
        Untestable: If all labels are equal.
    """
    distances = (labels - labels.mean()) ** 2
    total = distances.sum()
    if total == 0.0:
        raise Untestable("all labels are equal")
    ratios = rows.sum(axis=1) / total
    # The mean of the labels is no source of change to first order: it minimizes the distances.
    return Scores(1.0 - ratios, -(rows - ratios[:, None] * distances) / total)
