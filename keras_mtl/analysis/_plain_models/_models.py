"""Constant, linear and boosted models of one column of labels."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from keras_mtl.analysis._inputs._numbers import FloatArray

_PENALTIES = np.logspace(-2, 4, 7)
_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # of LogisticRegression, the inverse of a penalty
_MOST_CATEGORIES = 250  # boosting has bins for 255
_FEW = 10
"""With fewer labels of a class, nothing is held out of the training rows."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Holds what a model learns from: the labeled training rows, and the rows to answer.

    Args:
        x: `[n, d]`, numbers first and then texts, as objects if there is text.
        y: The labels `[n]`: numbers, or the numbers of classes.
        other_x: `[m, d]`.
        num_numbers: How many of the d columns are numbers.
        num_classes: The number of classes, or `None` for numbers.
        absolute: Whether the absolute error counts, and not the squared one.
        seed: The seed of what is drawn.
    """

    x: Any
    y: FloatArray
    other_x: Any
    num_numbers: int
    num_classes: int | None
    absolute: bool
    seed: int


def answer_constant(problem: Problem) -> FloatArray:
    """Returns the best answer without inputs: shares of classes, the mean, or the median."""
    if problem.num_classes is not None:
        counts = np.bincount(problem.y.astype(int), minlength=problem.num_classes)
        return np.tile(counts / counts.sum(), (len(problem.other_x), 1))
    best = np.median if problem.absolute else np.mean
    return np.full(len(problem.other_x), best(problem.y))


def answer_linear(problem: Problem) -> FloatArray:
    """Returns the answers of a logistic or a ridge regression, whose penalty is chosen."""
    if problem.num_classes is None:
        model = make_pipeline(_linear_columns(problem), RidgeCV(_PENALTIES))
        model.fit(problem.x, problem.y)
        return np.asarray(model.predict(problem.other_x), np.float64)

    def fit(strength: float, x: Any, y: FloatArray) -> Any:
        model = make_pipeline(
            _linear_columns(problem), LogisticRegression(C=strength, max_iter=1000)
        )
        with warnings.catch_warnings():  # an optimum that is nearly reached does as well
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(x, y.astype(np.int64))

    model = fit(_choose_strength(problem, fit), problem.x, problem.y)
    return _all_classes(model, problem)


def answer_boosted(problem: Problem) -> FloatArray:
    """Returns the answers of gradient boosting, whose number of trees is chosen."""
    texts = problem.x.shape[1] - problem.num_numbers
    options: dict[str, Any] = {
        "random_state": problem.seed,
        "max_iter": 500,
        "n_iter_no_change": 20,
        "early_stopping": _holds_out(problem),
        "categorical_features": list(range(problem.num_numbers, problem.num_numbers + texts)),
    }
    if not options["early_stopping"]:
        options["max_iter"] = 100
    if problem.num_classes is not None:
        boosting: Any = HistGradientBoostingClassifier(**options)
        labels: Any = problem.y.astype(np.int64)
    else:
        loss = "absolute_error" if problem.absolute else "squared_error"
        boosting, labels = HistGradientBoostingRegressor(loss=loss, **options), problem.y
    model = make_pipeline(_boosted_columns(problem), boosting).fit(problem.x, labels)
    if problem.num_classes is None:
        return np.asarray(model.predict(problem.other_x), np.float64)
    return _all_classes(model, problem)


MODELS: dict[str, Callable[[Problem], FloatArray]] = {
    "constant": answer_constant,
    "linear": answer_linear,
    "boosted": answer_boosted,
}


def answer(kind: str, problem: Problem) -> FloatArray:
    """Returns the answers of a kind of model: `[m]`, or `[m, classes]` for classes.

    Where all labels are equal, every kind answers with the constant.
    """
    problem = _without_empty(problem)
    if len(np.unique(problem.y)) < 2 or not problem.x.shape[1]:
        return answer_constant(problem)
    return MODELS[kind](problem)


def _without_empty(problem: Problem) -> Problem:
    """Returns the problem without the numbers of which no training row has a value."""
    numbers = problem.x[:, : problem.num_numbers].astype(np.float64)
    empty = np.flatnonzero(np.isnan(numbers).all(axis=0))
    return dataclasses.replace(
        problem,
        x=np.delete(problem.x, empty, axis=1),
        other_x=np.delete(problem.other_x, empty, axis=1),
        num_numbers=problem.num_numbers - len(empty),
    )


def _linear_columns(problem: Problem) -> Any:
    numbers, texts = _positions(problem)
    steps = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
    )
    encoder = OneHotEncoder(handle_unknown="ignore", max_categories=_MOST_CATEGORIES)
    return ColumnTransformer([("numbers", steps, numbers), ("texts", encoder, texts)])


def _boosted_columns(problem: Problem) -> Any:
    numbers, texts = _positions(problem)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=_MOST_CATEGORIES
    )
    return ColumnTransformer([("numbers", "passthrough", numbers), ("texts", encoder, texts)])


def _positions(problem: Problem) -> tuple[list[int], list[int]]:
    width = problem.x.shape[1]
    return list(range(problem.num_numbers)), list(range(problem.num_numbers, width))


def _holds_out(problem: Problem) -> bool:
    if problem.num_classes is None:
        return len(problem.y) >= 10 * _FEW
    counts = np.unique(problem.y, return_counts=True)[1]
    return int(counts.min()) >= _FEW


def _choose_strength(problem: Problem, fit: Callable[[float, Any, FloatArray], Any]) -> float:
    """Returns the strength with the least log loss on a fifth of the training rows."""
    if not _holds_out(problem):
        return 1.0
    x, held_x, y, held_y = train_test_split(
        problem.x, problem.y, test_size=0.2, stratify=problem.y, random_state=problem.seed
    )
    losses = [
        log_loss(held_y, fit(strength, x, y).predict_proba(held_x)) for strength in _STRENGTHS
    ]
    return _STRENGTHS[int(np.argmin(losses))]


def _all_classes(model: Any, problem: Problem) -> FloatArray:
    """Returns probabilities `[m, classes]`, 0 for classes that no training row has."""
    chances = np.zeros((len(problem.other_x), problem.num_classes or 0))
    chances[:, model.classes_.astype(int)] = model.predict_proba(problem.other_x)
    return chances
