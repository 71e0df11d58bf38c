"""Mutual information where a label is a number, by nearest neighbors."""

import numpy as np
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from keras_mtl.analysis._inputs._numbers import FloatArray

MAX_ROWS = 20_000
"""Rows beyond which a subsample is taken: the time grows faster than the rows."""

_NEIGHBORS = 3


def estimate_information(
    numbers: FloatArray, other: FloatArray, *, is_class: bool, seed: int
) -> float:
    """Returns nats, by Kraskov et al. for two numbers, by Ross for a number and a class.

    Args:
        numbers: Labels that are numbers, `[rows]`.
        other: The other labels, `[rows]`.
        is_class: Whether the other labels are classes. It is stated, since scikit-learn would take
            them for numbers.
        seed: Seeds the subsample, and the noise of 1e-10 that scikit-learn adds to break ties.
    """
    rows = np.flatnonzero(~np.isnan(numbers) & ~np.isnan(other))
    if len(rows) > MAX_ROWS:
        rows = np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False)
    estimator = mutual_info_classif if is_class else mutual_info_regression
    target = other[rows].astype(np.intp) if is_class else other[rows]
    result = estimator(
        numbers[rows, None],
        target,
        discrete_features=False,
        n_neighbors=min(_NEIGHBORS, len(rows) - 1),
        random_state=seed,
    )
    return float(result[0])
