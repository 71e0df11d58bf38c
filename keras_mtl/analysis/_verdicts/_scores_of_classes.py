"""Metrics of decided classes: functions of counts."""

from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._checks import (
    Scores,
    as_column,
    check_binary,
    check_classes,
    of_class_one,
)
from keras_mtl.analysis._verdicts._read_predictions import Predictions


def decide(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns the decided classes `[P, n]`: above the threshold, or the most probable of several.

    Raises:
        ValueError: If labels are no classes.
    """
    if predictions.ndim == 3 and predictions.shape[2] > 2:
        check_classes(labels, predictions.shape[2])
        return np.asarray(predictions.argmax(axis=2), np.float64)
    check_binary(labels)
    cut = as_column(threshold, len(predictions))
    return np.asarray(of_class_one(predictions) > cut, np.float64)


def decide_yes_no(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns the decided classes `[P, n]` of yes-or-no labels."""
    check_binary(labels)
    return decide(labels, of_class_one(predictions), threshold)


def hits(labels: FloatArray, predictions: Predictions, threshold: Any) -> FloatArray:
    """Returns 1 where the decided class is the label, `[P, n]`."""
    return np.asarray(decide(labels, predictions, threshold) == labels, np.float64)


def balanced_accuracy(labels: FloatArray, rows: FloatArray) -> Scores:
    """Computes the mean over the classes with labels of the share of right decisions."""
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = numbers[:, None] == np.arange(len(classes))  # [n, C]
    recalls = rows @ members / counts
    influence = (rows - recalls[:, numbers]) / (len(classes) * counts[numbers])
    return Scores(recalls.mean(axis=1), influence)


def f1(labels: FloatArray, decided: FloatArray) -> Scores:
    """Computes 2 TP / (labels of class 1 + decisions for class 1); 0 where there is neither."""
    return _f1_of_class(labels == 1.0, decided == 1.0)


def _f1_of_class(is_label: Any, is_decided: Any) -> Scores:
    hit = is_label & is_decided  # [P, n]
    sizes = (is_label.sum() + is_decided.sum(axis=1)).astype(np.float64)
    divisors = np.maximum(sizes, 1.0)
    values = 2.0 * hit.sum(axis=1) / divisors
    mentions = is_label.astype(np.float64) + is_decided
    return Scores(values, (2.0 * hit - values[:, None] * mentions) / divisors[:, None])


def macro_f1_of_classes(labels: FloatArray, decided: FloatArray) -> Scores:
    """Computes the mean F1 score over the classes that are a label or a decision at least once."""
    values, influence = np.zeros(len(decided)), np.zeros(decided.shape)
    num_classes = np.zeros(len(decided))
    for number in np.union1d(labels, decided):
        is_label, is_decided = labels == number, decided == number
        of_class = _f1_of_class(is_label, is_decided)
        # A class that neither the labels nor this model mention has values of 0 all over.
        num_classes += is_label.any() | is_decided.any(axis=1)
        values += of_class.values
        influence += of_class.influence
    return Scores(values / num_classes, influence / num_classes[:, None])


def matthews(labels: FloatArray, decided: FloatArray) -> Scores:
    """Computes Matthews' correlation of labels and decisions, for any number of classes.

    With t_k labels and p_k decisions of class k, c right decisions and s rows (Gorodkin 2004):

        (c s - sum_k p_k t_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2))

    and 0 where a model or the labels know one class alone.
    """
    classes = np.union1d(labels, decided)
    label_counts = (labels[:, None] == classes).sum(axis=0)  # t
    decision_counts = (decided[:, :, None] == classes).sum(axis=1)  # p, [P, C]
    label_number, decision_number = (
        np.searchsorted(classes, labels),
        np.searchsorted(classes, decided),
    )
    right = (labels == decided).astype(np.float64)
    num_rows, num_right = len(labels), right.sum(axis=1)
    numerator = num_right * num_rows - decision_counts @ label_counts
    of_labels = float(num_rows**2 - (label_counts**2).sum())
    of_decisions = num_rows**2 - (decision_counts**2).sum(axis=1).astype(np.float64)
    defined = of_labels * of_decisions > 0.0
    root = np.sqrt(np.where(defined, of_labels * of_decisions, 1.0))
    values = np.where(defined, numerator / root, 0.0)
    # Changes of the numerator and of the two factors, if one row counts once more.
    own_labels = label_counts[label_number]
    own_decisions = np.take_along_axis(decision_counts, decision_number, axis=1)
    step = num_right[:, None] + num_rows * right
    step -= label_counts[decision_number] + decision_counts[:, label_number]
    change = step / root[:, None]
    spread = np.where(defined, of_decisions, 1.0)[:, None]
    change -= values[:, None] * (num_rows - own_decisions) / spread
    change -= values[:, None] * (num_rows - own_labels) / max(of_labels, 1.0)
    return Scores(values, np.where(defined[:, None], change, 0.0))
