"""The metrics by name."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts import (
    _auc,
    _scores_of_classes,
    _scores_of_columns,
    _scores_of_rows,
)
from keras_mtl.analysis._verdicts._checks import Scores, of_numbers
from keras_mtl.analysis._verdicts._read_predictions import Predictions


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Computes a metric in two steps, so that tests by permutation repeat the second alone.

    Args:
        prepare: `(labels, predictions, threshold)` -> the values of rows that the metric reads,
            `[P, n]` or `[P, n, C]`: errors, decisions, scores. It checks labels and predictions.
        evaluate: `(labels, values of rows)` -> `Scores`.
        is_stratified: Whether rows are resampled within the classes of the labels.
        smallest_class: The least number of rows of both labels, 0 and 1, for a test.
        by_ranks: Whether only the order of the values of rows counts.
    """

    prepare: Callable[[FloatArray, Predictions, Any], Any]
    evaluate: Callable[[FloatArray, Any], Scores]
    is_stratified: bool = False
    smallest_class: int = 0
    by_ranks: bool = False


SCORERS = {
    "accuracy": Scorer(_scores_of_classes.hits, _scores_of_rows.mean),
    "auc": Scorer(_auc.yes_no_scores, _auc.auc, True, _auc.SMALLEST_CLASS, True),
    "balanced_accuracy": Scorer(
        _scores_of_classes.hits, _scores_of_classes.balanced_accuracy, True
    ),
    "brier": Scorer(_scores_of_rows.squared_probability_errors, _scores_of_rows.mean),
    "f1": Scorer(
        _scores_of_classes.decide_yes_no, _scores_of_classes.f1, True, _auc.SMALLEST_CLASS
    ),
    "log_loss": Scorer(_scores_of_rows.log_losses, _scores_of_rows.mean),
    "macro_auc": Scorer(
        _scores_of_columns.scores_of_columns, _scores_of_columns.macro_auc, by_ranks=True
    ),
    "macro_f1": Scorer(_scores_of_columns.decide_columns, _scores_of_columns.macro_f1),
    "mae": Scorer(_scores_of_rows.absolute_errors, _scores_of_rows.mean),
    "mcc": Scorer(_scores_of_classes.decide, _scores_of_classes.matthews, True),
    "mse": Scorer(_scores_of_rows.squared_errors, _scores_of_rows.mean),
    "r2": Scorer(_scores_of_rows.squared_errors, _scores_of_rows.explained_variance),
    "rmse": Scorer(_scores_of_rows.squared_errors, _scores_of_rows.root_mean),
}
"""Metrics whose variance over rows is computed in closed form."""

OVER_COLUMNS = {"macro_auc", "macro_f1"}
"""Metrics that read all columns of a task at once."""


def _average_precision(labels: Any, scores: Any) -> float:
    """Returns the area under the steps of precision over recall, as scikit-learn does.

    Its checks take ten times as long, and this function is called for each draw of rows.
    """
    order = np.argsort(-scores)
    descending = scores[order]
    num_hits = np.cumsum(labels[order])
    # Rows with equal scores are one step.
    ends = np.append(descending[1:] != descending[:-1], True)
    hits, sizes = num_hits[ends], np.flatnonzero(ends) + 1.0
    if hits[-1] == 0.0:
        return float("nan")
    return float(np.diff(hits, prepend=0.0) @ (hits / sizes) / hits[-1])


def _numbers(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    del labels, threshold
    return of_numbers(predictions)


def _spearman(labels: Any, predictions: Any) -> float:
    ranks = scipy.stats.rankdata([labels, predictions], axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = (ranks**2).sum(axis=1)
    if (lengths == 0.0).any():
        return float("nan")  # constant labels or predictions
    return float(ranks[0] @ ranks[1] / np.sqrt(lengths.prod()))


@dataclasses.dataclass(frozen=True)
class Function:
    """Computes a metric whose variance over rows is that of resampled rows.

    Args:
        prepare: As for a `Scorer`.
        evaluate: `(labels [n], values of rows [n])` -> the score, NaN where there is none.
        smallest_class: As for a `Scorer`.
    """

    prepare: Callable[[FloatArray, Predictions, Any], Any]
    evaluate: Callable[[Any, Any], float]
    smallest_class: int = 0


FUNCTIONS = {
    "pr_auc": Function(_auc.yes_no_scores, _average_precision, _auc.SMALLEST_CLASS),
    "spearman": Function(_numbers, _spearman),
}
"""Metrics whose variance over rows is that of resampled rows."""
