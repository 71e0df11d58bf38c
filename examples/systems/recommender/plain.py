"""What the networks must beat: a constant, a linear model, and boosted trees, chosen likewise."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from .contest import log_loss

TREES = 150


def constant(problem):
    """Returns the rate of the training part for every test row, by task."""
    count = len(next(iter(problem.test.labels.values())))
    return {
        task.name: np.full(count, np.nanmean(problem.train.labels[task.name]))
        for task in problem.tasks
    }


def linear(problem):
    """Returns predictions of logistic regressions; validation rows choose their penalty."""

    def fits(x, y, x_held):
        for strength in (0.003, 0.03, 0.3):
            model = LogisticRegression(C=strength, max_iter=200).fit(x, y)
            yield model.predict_proba(x_held)[:, 1], model.predict_proba

    return _each(problem, "linear", fits)


def boosted(problem):
    """Returns predictions of boosted trees; validation rows choose their size and number."""

    def fits(x, y, x_held):
        for leaves in (8, 24):
            model = HistGradientBoostingClassifier(
                learning_rate=0.08, max_iter=TREES, max_leaf_nodes=leaves, early_stopping=False
            ).fit(x, y)
            for count, held in enumerate(model.staged_predict_proba(x_held)):
                yield held[:, 1], lambda rows, c=count, m=model: _stage(m, rows, c)

    return _each(problem, "trees", fits)


def _stage(model, rows, count):
    for number, guess in enumerate(model.staged_predict_proba(rows)):
        if number == count:
            return guess


def _each(problem, kind, fits):
    x, x_held, x_test = (
        problem.table(rows, kind) for rows in (problem.train, problem.validation, problem.test)
    )
    result = {}
    for task in problem.tasks:
        labels, held = (p.labels[task.name] for p in (problem.train, problem.validation))
        known, best = ~np.isnan(labels), (np.inf, None)
        for guess, predict in fits(x[known], labels[known], x_held):
            best = min(best, (log_loss(held, guess), predict), key=lambda pair: pair[0])
        result[task.name] = best[1](x_test)[:, 1]
    return result
