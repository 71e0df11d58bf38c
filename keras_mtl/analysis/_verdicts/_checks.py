"""Checks of the labels and predictions that a metric receives."""

from typing import Any, NamedTuple

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._read_predictions import Predictions


class Scores(NamedTuple):
    """Holds the scores of P arrays of predictions, and the influence of the rows on them.

    Args:
        values: `[P]`.
        influence: `[P, n]`, summing to 0 over the rows: if row i counts w_i times instead of once,
            the score changes by the sum of (w_i - 1) influence_i, to first order.
    """

    values: FloatArray
    influence: FloatArray


class Untestable(ValueError):
    """Says why a metric does not exist on these labels, so that its row has no verdict."""


def check_binary(labels: FloatArray) -> None:
    """Checks that labels are 0 and 1.

    Raises:
        ValueError: If they are not.
    """
    wrong = labels[(labels != 0.0) & (labels != 1.0)]
    if wrong.size:
        raise ValueError(
            f"labels hold {wrong[0]:g}; expected 0 and 1, with NaN for a missing label."
        )


def check_classes(labels: FloatArray, num_classes: int) -> None:
    """Checks that labels are numbers of classes.

    Raises:
        ValueError: If they are not.
    """
    wrong = labels[(labels < 0) | (labels >= num_classes) | (labels != np.floor(labels))]
    if wrong.size:
        raise ValueError(
            f"labels hold {wrong[0]:g}; expected the numbers of {num_classes} classes, 0 to "
            f"{num_classes - 1}, with NaN for a missing label."
        )


def check_probabilities(predictions: Predictions) -> None:
    """Checks that predictions are from 0 to 1.

    Raises:
        ValueError: If they are not.
    """
    low, high = float(predictions.min()), float(predictions.max())
    if low < -1e-6 or high > 1.0 + 1e-6:
        raise ValueError(
            f"predictions go from {low:.3g} to {high:.3g}; expected probabilities. Apply the "
            "sigmoid or softmax to logits first."
        )


def of_class_one(predictions: Predictions) -> Predictions:
    """Returns predictions `[P, n]` of yes-or-no labels, also from two classes `[P, n, 2]`.

    Raises:
        ValueError: If there are more classes.
    """
    if predictions.ndim == 2:
        return predictions
    if predictions.shape[2] == 2:
        return predictions[:, :, 1]
    raise ValueError(
        f"the metric is for yes-or-no labels, and predictions have {predictions.shape[2]} classes; "
        "expected one number per row."
    )


def of_numbers(predictions: Predictions) -> FloatArray:
    """Returns predictions `[P, n]` of numbers.

    Raises:
        ValueError: If there are several numbers per row.
    """
    if predictions.ndim != 2:
        raise ValueError(
            f"the metric is for numbers, and predictions have {predictions.shape[2]} entries per "
            "row; expected one, or as many columns in the labels."
        )
    return predictions.astype(np.float64)


def one_hot(labels: FloatArray, num_classes: int) -> FloatArray:
    """Returns class numbers `[n]` as zeros and ones `[n, C]`."""
    classes = np.arange(num_classes)
    return np.asarray(labels[:, None] == classes, np.float64)


def as_column(threshold: Any, num_predictions: int) -> FloatArray:
    """Returns a threshold, one or one per seed, as `[P, 1]`.

    Raises:
        ValueError: If there is another number of thresholds, or one is no number.
    """
    values = np.asarray(threshold, np.float64)
    if values.shape not in ((), (num_predictions,)) or not np.isfinite(values).all():
        raise ValueError(
            f"threshold is {threshold!r}; expected one finite number, or one per seed "
            f"({num_predictions})."
        )
    return np.broadcast_to(values, (num_predictions,))[:, None]
