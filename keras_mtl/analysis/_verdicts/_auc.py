"""The exact area under the ROC curve and its influence on rows, by ranks."""

from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._checks import (
    Scores,
    check_binary,
    of_class_one,
)
from keras_mtl.analysis._verdicts._read_predictions import Predictions

SMALLEST_CLASS = 10
"""An AUC of fewer rows of a class is not tested: its variance is too poorly known."""


def yes_no_scores(labels: FloatArray, predictions: Predictions, threshold: Any) -> Predictions:
    """Returns the predictions of yes-or-no labels, `[P, n]`: probabilities or logits."""
    del threshold
    check_binary(labels)
    return of_class_one(predictions)


def auc(labels: FloatArray, scores: Predictions) -> Scores:
    """Computes AUCs, and DeLong's structural components as the influence of rows.

    For the m positive and n negative rows, with ties counted half:

        V10_i = share of negatives below positive i     AUC = mean of V10 = mean of V01
        V01_j = share of positives above negative j
        influence = (V10_i - AUC) / m for positives, (V01_j - AUC) / n for negatives

    so that the sums of squares within the two classes are DeLong's variance, up to m / (m - 1) and
    n / (n - 1) (DeLong et al. 1988; by ranks, Sun and Xu 2014).

    Args:
        labels: 0 and 1, `[n]`.
        scores: `[P, n]`.
    """
    positive = labels == 1.0
    num_positives = int(positive.sum())
    num_negatives = len(labels) - num_positives
    below = _count_below(scores, positive)
    components = below / np.where(positive, num_negatives, num_positives)
    components[:, ~positive] = 1.0 - components[:, ~positive]
    values = components[:, positive].mean(axis=1)
    influence = (components - values[:, None]) / np.where(positive, num_positives, num_negatives)
    return Scores(values, influence)


def _count_below(scores: Predictions, positive: Any) -> FloatArray:
    """Counts for each row the rows of the other class with a lower score, ties half, `[P, n]`."""
    order = np.argsort(scores, axis=1)
    ascending = np.take_along_axis(scores, order, axis=1)
    is_positive = positive[order]
    num_below = np.where(
        is_positive,
        _mid_counts(ascending, ~is_positive),
        _mid_counts(ascending, is_positive),
    )
    below = np.empty(scores.shape)
    np.put_along_axis(below, order, num_below, axis=1)
    return below


def _mid_counts(ascending: Predictions, flags: Any) -> FloatArray:
    """Counts the flagged rows below each row plus half of those with an equal score, `[P, n]`."""
    counts = np.cumsum(flags, axis=1, dtype=np.float64)
    begins = np.ones(ascending.shape, bool)
    begins[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    if begins.all():
        return counts  # right for rows that are not flagged, and only these are asked for
    ends = np.ones_like(begins)
    ends[:, :-1] = begins[:, 1:]
    # Counts never fall, so that a running maximum carries the count before a run of ties through
    # it, and a running minimum from the right the count at its end.
    before = np.maximum.accumulate(np.where(begins, counts - flags, 0.0), axis=1)
    at_end = np.where(ends, counts, np.inf)
    after = np.minimum.accumulate(at_end[:, ::-1], axis=1)[:, ::-1]
    return (before + after) / 2.0


def smallest_class(labels: FloatArray) -> int:
    """Counts the rows of the rarer of the labels 0 and 1."""
    num_positives = int((labels == 1.0).sum())
    return min(num_positives, len(labels) - num_positives)
