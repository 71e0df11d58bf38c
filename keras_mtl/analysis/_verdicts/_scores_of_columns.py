"""Metrics that are a mean over columns, or over the classes of a task."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._auc import SMALLEST_CLASS, auc, smallest_class
from keras_mtl.analysis._verdicts._checks import (
    Scores,
    Untestable,
    as_column,
    check_binary,
    check_classes,
    one_hot,
)
from keras_mtl.analysis._verdicts._read_predictions import Predictions
from keras_mtl.analysis._verdicts._scores_of_classes import decide, f1, macro_f1_of_classes


def scores_of_columns(labels: FloatArray, predictions: Predictions, threshold: Any) -> Predictions:
    """Returns the predictions of C columns or classes, `[P, n, C]`."""
    del threshold
    if predictions.ndim != 3:
        raise ValueError(
            "macro_auc is the mean over columns or classes, and there is one prediction per row; "
            "take 'auc'."
        )
    if labels.ndim == 1:
        check_classes(labels, predictions.shape[2])
    else:
        check_binary(labels[~np.isnan(labels)])
    return predictions


def macro_auc(labels: FloatArray, scores: Predictions) -> Scores:
    """Computes the mean of the AUCs of columns, or of each class against all other classes.

    Columns with fewer than ten rows of a class are left out, for both models.

    Args:
        labels: Class numbers `[n]`, or columns of 0 and 1 `[n, C]` with NaN.
        scores: `[P, n, C]`.

    Raises:
        Untestable: If no column remains.
    """
    if labels.ndim == 1:
        labels = one_hot(labels, scores.shape[2])
    return _mean_over_columns(auc, labels, scores, SMALLEST_CLASS)


def decide_columns(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns decided classes `[P, n]`, or the decisions of columns `[P, n, C]`."""
    if labels.ndim == 1:
        return decide(labels, predictions, threshold)
    check_binary(labels[~np.isnan(labels)])
    cut = np.asarray(threshold, np.float64)
    if cut.ndim == 2:  # [S, C]
        return (predictions > cut[:, None, :]).astype(np.float64)
    return (predictions > as_column(cut, len(predictions))[:, :, None]).astype(np.float64)


def macro_f1(labels: FloatArray, decided: FloatArray) -> Scores:
    """Computes the mean F1 score over classes, or over columns of yes-or-no labels."""
    if labels.ndim == 1:
        return macro_f1_of_classes(labels, decided)
    return _mean_over_columns(f1, labels, decided, 0)


def _mean_over_columns(
    evaluate: Callable[[FloatArray, Any], Scores],
    labels: FloatArray,
    predictions: Predictions,
    least: int,
) -> Scores:
    """Computes the mean over columns with so many rows of each class, each on its labeled rows."""
    values, influence = np.zeros(len(predictions)), np.zeros(predictions.shape[:2])
    num_columns = 0
    for column in range(predictions.shape[2]):
        rows = np.flatnonzero(~np.isnan(labels[:, column]))
        if rows.size and smallest_class(labels[rows, column]) >= least:
            of_column = evaluate(labels[rows, column], predictions[:, rows, column])
            values += of_column.values
            influence[:, rows] += of_column.influence
            num_columns += 1
    if not num_columns:
        raise Untestable(f"no column has {least} rows of each class")
    return Scores(values / num_columns, influence / num_columns)
