"""Linear models of labels from features, and their scores on other rows."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_mtl.analysis._inputs._numbers import FloatArray

Fit = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], float]
"""Fits features and labels of some rows, and scores other features and labels."""

MIN_CLASS = 5
"""So many labels of each class are needed in each half."""

_PENALTIES = np.logspace(-3, 5, 9)


def fit_numbers(x: FloatArray, y: FloatArray, other_x: FloatArray, other_y: FloatArray) -> float:
    """Returns R squared of a ridge regression, whose penalty leave-one-out validation chooses."""
    if not np.ptp(y) or not np.ptp(other_y):
        return np.nan
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    model.fit(x, y)
    return float(r2_score(other_y, model.predict(other_x)))


def fit_classes(x: FloatArray, y: FloatArray, other_x: FloatArray, other_y: FloatArray) -> float:
    """Returns the AUC of a logistic regression, of several classes the mean of one against all.

    Classes with too few labels in one of the halves are left out.
    """
    kept = [
        value
        for value in np.unique(y)
        if min((y == value).sum(), (other_y == value).sum()) >= MIN_CLASS
    ]
    if len(kept) < 2:
        return np.nan
    rows, other_rows = np.isin(y, kept), np.isin(other_y, kept)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        # Ranks are what counts: an optimum that is nearly reached does as well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x[rows], y[rows].astype(np.int64))
    chances = model.predict_proba(other_x[other_rows])
    labels = other_y[other_rows]
    if len(kept) == 2:
        return float(roc_auc_score(labels == kept[1], chances[:, 1]))
    areas = [roc_auc_score(labels == value, chances[:, i]) for i, value in enumerate(kept)]
    return float(np.mean(areas))


def split_rows(
    labeled: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yields two random halves of the rows that have a label."""
    rows = rng.permutation(np.flatnonzero(labeled))
    yield from (rows[: len(rows) // 2], rows[len(rows) // 2 :])
