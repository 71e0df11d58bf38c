"""Tables of a contest on real data: what all reach, and how far that is from separate networks."""

import sys

import numpy as np
import tables
from sklearn.metrics import roc_auc_score

from keras_mtl import analysis

from . import contest, measures, plain

PLAIN = {"constant": plain.constant, "linear": plain.linear, "boosted trees": plain.boosted}
MARKS = {"helped": ", better", "hurt": ", worse"}


def figures(problem, guess):
    """Returns the figures of one run by column: AUC, GAUC if there are users, and so on."""
    result, rows = {}, problem.test
    for task in problem.tasks:
        labels, scores = rows.labels[task.name], guess[task.name]
        result[f"{task.name} AUC"] = roc_auc_score(labels, scores)
        if rows.users is not None:
            result[f"{task.name} GAUC"] = measures.group_auc(labels, scores, rows.users)
        result[f"{task.name} log loss"] = contest.log_loss(labels, scores)
        result[f"{task.name} calibration"] = measures.calibration(labels, scores)
        if np.isnan(problem.train.labels[task.name]).any():
            result[f"{task.name} bias, %"] = 100 * (scores.mean() / labels.mean() - 1)
    return result


def gains(problem, before, guess):
    """Returns cells by column: the differences from other predictions, with 95 % intervals.

    Seeds and test rows are both counted as chance; all rows of a user are drawn together.
    """
    labels = {task.name: problem.test.labels[task.name] for task in problem.tasks}
    compared = analysis.compare(
        labels, before, guess, ["auc", "log_loss"], blocks=problem.test.users
    )
    return {
        f"{row.task} {'AUC' if row.metric == 'auc' else 'log loss'}": (
            f"{row.difference:+.4f} ± {(row.upper - row.lower) / 2:.4f}{MARKS.get(row.verdict, '')}"
        )
        for row in compared.rows
    }


def measure(problem, names, seeds, epochs):
    """Trains the contenders of these names, and prints both tables; returns the predictions."""
    known = [*PLAIN, *contest.contenders(problem)]
    if unknown := sorted({*(names or ())} - {*known}):
        raise SystemExit(f"{unknown} are no contenders here; expected some of {known}.")
    predictions = {}
    for name in [contest.SINGLE, *(names or known)]:
        if name in PLAIN:
            guess = PLAIN[name](problem)
            predictions[name] = {task: np.stack([p] * seeds) for task, p in guess.items()}
            print(name, file=sys.stderr, flush=True)
        elif name not in predictions:
            predictions[name] = contest.run(problem, name, seeds, epochs)
    rows, changes = {}, {}
    for name in [name for name in known if name in predictions]:
        guess = predictions[name]
        runs = [
            figures(problem, {task: values[seed] for task, values in guess.items()})
            for seed in range(1 if name in PLAIN else seeds)
        ]
        rows[name] = [
            tables.cell([run[column] for run in runs], 1 if "%" in column else 4)
            for column in runs[0]
        ]
        if name != contest.SINGLE:
            changes[name] = gains(problem, predictions[contest.SINGLE], guess)
    tables.show(f"{problem.name}, {seeds} seeds", [*runs[0]], rows)
    title = f"{problem.name}: difference from one network for each task"
    tables.show(
        title, [*next(iter(changes.values()))], {k: [*v.values()] for k, v in changes.items()}
    )
    return predictions
