"""Rows of tables as texts, in print and on the page."""

import math
from collections.abc import Sequence

from keras_mtl.serving._drifting._rows import ColumnDrift, TaskDrift

NONE = "\N{EN DASH}"
SIGNS = {
    "drift": "\N{BLACK DIAMOND}",
    "off": "\N{BLACK DIAMOND}",
    "unusual": "\N{BLACK DIAMOND}",
    "no drift": "=",
    "calibrated": "=",
    "usual": "=",
    "too few rows": "?",
    "too few labels": "?",
    "no labels": NONE,
    "not compared": NONE,
}

_Rows = tuple[list[str], list[list[str]]]


def sign(verdict: str) -> str:
    """Returns a verdict with its sign before it, so that it does not depend on colors."""
    return NONE if SIGNS[verdict] == NONE else f"{SIGNS[verdict]} {verdict}"


def number(value: float | None) -> str:
    """Returns an index or error with three decimals."""
    return NONE if value is None or math.isnan(value) else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Returns a share in percent."""
    return NONE if value is None else f"{100 * value:.3g}"


def task_rows(tasks: Sequence[TaskDrift]) -> _Rows:
    """Returns header and rows of what is known of tasks, in print."""
    header = ["task", "verdict", "PSI", "by chance", "99 %", "bound", "n"]
    header += ["calibration", "ECE", "by chance", "99 %", "bound", "labels"]
    rows = [[t.task, *drift_cells(t)[:6], *calibration_cells(t)[:6]] for t in tasks]
    if all(task.calibration is None for task in tasks):
        return header[:7], [row[:7] for row in rows]
    return header, rows


def drift_cells(task: TaskDrift) -> list[str]:
    """Returns verdict, index, its mean and 99 % by chance, bound, number, left-out values."""
    drift = task.drift
    values = (None,) * 3 if drift is None else (drift.psi, drift.null_mean, drift.null_99)
    rows = NONE if drift is None else f"{drift.rows:,}"
    cells = [sign(task.verdict), *map(number, values), number(task.psi_bound), rows]
    return [*cells, f"{task.left_out:,}"]


def calibration_cells(task: TaskDrift) -> list[str]:
    """Returns verdict, error, its mean and 99 % by chance, bound, labels, and both means."""
    result = task.calibration
    if result is None:
        return [NONE] * 8
    values = (result.ece, result.null_mean, result.null_99, task.ece_bound)
    cells = [sign(task.calibration_verdict), *map(number, values), f"{result.rows:,}"]
    return [*cells, number(task.mean_prediction), number(task.mean_label)]


def column_rows(columns: Sequence[ColumnDrift]) -> _Rows:
    """Returns header and rows of what is known of columns."""
    header = ["column", "verdict", "values", "unknown, %", "unknown in the reference, %"]
    header += ["missing, %", "missing in the reference, %", "out of range, %", "non-finite, %"]
    rows = [
        [
            column.column,
            ": ".join(filter(None, [sign(column.verdict), ", ".join(column.findings)])),
            f"{column.values:,}",
            percent(column.unknown),
            percent(column.reference_unknown),
            percent(column.missing),
            percent(column.reference_missing),
            percent(column.outside),
            percent(column.nonfinite),
        ]
        for column in columns
    ]
    return header, rows


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns lines with names and verdicts aligned to the left, and numbers to the right.

    `analysis` has such a function, but loads Keras, for which nobody should wait here.
    """
    columns = []
    for cells in zip(header, *rows, strict=True):
        width = max(map(len, cells))
        is_text = cells[0] in ("task", "column", "verdict", "calibration")
        columns.append([cell.ljust(width) if is_text else cell.rjust(width) for cell in cells])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))
