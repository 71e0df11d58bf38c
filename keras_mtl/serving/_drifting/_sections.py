"""The sections of the page of a drift report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_mtl.analysis._reporting._page import Section, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.serving._drifting._advice import list_names
from keras_mtl.serving._drifting._pictures import MOST_PANELS, draw_bins, draw_reliability
from keras_mtl.serving._drifting._rows import ColumnDrift, TaskDrift
from keras_mtl.serving._drifting._texts import calibration_cells, column_rows, drift_cells

if TYPE_CHECKING:
    from keras_mtl.serving._drift_report import DriftReport

_READING = (
    "PSI is the population stability index of the predictions: 0 if they are spread as on the rows "
    "of the reference. It is above 0 by chance, too: beside it stand its mean without any drift, "
    "the value that it stays below in 99 % of such logs, and the number n of predictions. "
    "\N{BLACK DIAMOND} drift needs 1,000 predictions and a PSI above its bound: at least .1, and "
    "beyond chance for all tasks together. ? too few rows is no all-clear."
)
_SINGLY = (
    "Values of one row count singly, though they go together: chance is larger than stated here "
    "for tasks with several values per row ("
)
_RELIABILITY = (
    "ECE is the expected calibration error: how far the probabilities of ten bins are from the "
    "share of labels that came true, on average. Right probabilities have an error, too: beside it "
    "stand its mean and its 99 % value for right ones. \N{BLACK DIAMOND} off needs 1,000 labels "
    "and an ECE above its bound: at least .02, and beyond chance for all tasks together. Of "
    "classes, the probability is that of the most probable one. It says something of the rows "
    "whose labels came back, and nothing of those whose labels did not."
)
_COLUMNS = (
    "Shares of the values of a column. Unknown strings are those that the reference does not hold; "
    "numbers are out of range below the smallest or above the largest one of the reference; "
    "non-finite are infinite numbers, and NaN where the network fills none. \N{BLACK DIAMOND} "
    "unusual needs 1,000 values, and unknown strings or missing values beyond twice the share of "
    "the reference and 5 % more, or over 1 % of numbers out of range; or a single non-finite "
    "number. Values are not shown."
)


def make_sections(result: "DriftReport") -> list[Section]:
    """Returns the sections of a page: summary, advice, predictions, calibration, columns, notes."""
    sections = [Section("verdict", "Summary", (result.summary,))]
    if advice := result.advice:
        sections.append(Section("advice", "What to do", advice))
    if result.tasks:
        sections += [_make_predictions(result.tasks), _make_calibration(result.tasks)]
    if result.columns:
        parts = (_COLUMNS, _list_columns(result.columns))
        sections.append(Section("columns", "Columns", parts))
    if result.notes:
        sections.append(Section("notes", "What was not compared", result.notes))
    return sections


def _make_predictions(tasks: Sequence[TaskDrift]) -> Section:
    order = sorted(tasks, key=_drift_rank)
    compared = [task for task in order if task.drift is not None]
    parts: list[Any] = [_READING]
    if several := [task.task for task in compared if task.per_row > 1]:
        parts.append(f"{_SINGLY}{list_names(several)}).")
    parts.append(_list_drift(order))
    if drawn := compared[:MOST_PANELS]:
        sentence = (
            "Predictions now (blue) beside the reference (gray): the share of them in each bin. "
            "Bins are the tenths of the reference, or classes (of many, the most frequent ones)."
        )
        alt = f"Shares of predictions in bins, now and in the reference, of {len(drawn)} tasks"
        sentence += _most(len(drawn), len(compared))
        parts.append(make_picture(draw_bins(drawn), alt, sentence, _list_bins(compared)))
    return Section("predictions", "Predictions", tuple(parts))


def _list_drift(tasks: Sequence[TaskDrift]) -> Table:
    records = [
        {
            "task": task.task,
            "psi": task.drift and task.drift.psi,
            "mean by chance": task.drift and task.drift.null_mean,
            "99 % by chance": task.drift and task.drift.null_99,
            "bound": task.psi_bound,
            "n": task.drift and task.drift.rows,
            "reference n": task.drift and task.drift.reference_rows,
            "not finite": task.left_out,
            "verdict": task.verdict,
        }
        for task in tasks
    ]
    header = ["task", "verdict", "PSI", "mean by\nchance", "99 % by\nchance", "bound", "n"]
    header.append("not finite,\nleft out")
    cells = [[task.task, *drift_cells(task)] for task in tasks]
    caption = "Predictions beside the reference"
    return make_table("predictions", caption, records, header=header, cells=cells)


def _list_bins(tasks: Sequence[TaskDrift]) -> Table:
    records = [
        {"task": task.task, "bin": name, "reference": before, "now": now}
        for task in tasks
        for name, before, now in zip(task.bins, task.reference_counts, task.counts, strict=True)
    ]
    return make_table("bins", "Number of predictions in each bin", records)


def _make_calibration(tasks: Sequence[TaskDrift]) -> Section:
    labeled = sorted((task for task in tasks if task.calibration), key=_calibration_rank)
    if not labeled:
        text = (
            "No labels came back for yes-or-no tasks and classes, so this page does not say "
            "whether their probabilities still hold: predictions can stay as they were while the "
            "labels change."
        )
        return Section("calibration", "Calibration", (text,))
    drawn = labeled[:MOST_PANELS]
    sentence = (
        "The share of labels that came true in each bin of probabilities (points), and where 99 % "
        "of these shares are if the probabilities are right (gray bars). Points below the "
        "diagonal are probabilities that are too high."
    )
    alt = f"Shares of labels that came true by probability, of {len(drawn)} tasks"
    sentence += _most(len(drawn), len(labeled))
    picture = make_picture(draw_reliability(drawn), alt, sentence, _list_reliability(labeled))
    parts = (_RELIABILITY, _list_calibration(labeled), picture)
    return Section("calibration", "Calibration", parts)


def _list_calibration(tasks: Sequence[TaskDrift]) -> Table:
    records = [
        {
            "task": task.task,
            "ece": result.ece,
            "mean by chance": result.null_mean,
            "99 % by chance": result.null_99,
            "bound": task.ece_bound,
            "labels": result.rows,
            "verdict": task.calibration_verdict,
            "mean probability": task.mean_prediction,
            "share of labels": task.mean_label,
        }
        for task in tasks
        if (result := task.calibration)
    ]
    header = ["task", "verdict", "ECE", "mean by\nchance", "99 % by\nchance", "bound", "labels"]
    header += ["mean\nprobability", "share that\ncame true"]
    cells = [[task.task, *calibration_cells(task)] for task in tasks]
    caption = "Probabilities beside the labels that came back"
    return make_table("calibration", caption, records, header=header, cells=cells)


def _list_reliability(tasks: Sequence[TaskDrift]) -> Table:
    records = [
        {
            "task": task.task,
            "labels": part.labels,
            "mean probability": part.prediction,
            "share of labels": part.share,
            "deviation by chance": part.deviation,
        }
        for task in tasks
        for part in task.reliability
    ]
    return make_table("reliability", "Labels in each bin of probabilities", records)


def _list_columns(columns: Sequence[ColumnDrift]) -> Table:
    order = sorted(columns, key=lambda column: not column.findings)
    records = [
        {
            "column": column.column,
            "values": column.values,
            "unknown": column.unknown,
            "unknown in the reference": column.reference_unknown,
            "missing": column.missing,
            "missing in the reference": column.reference_missing,
            "out of range": column.outside,
            "nonfinite": column.nonfinite,
            "verdict": column.verdict,
            "findings": ", ".join(column.findings),
        }
        for column in order
    ]
    header, cells = column_rows(order)
    header = [name.replace(" in the ", "\nin the ") for name in header]
    caption = "Values by column, the unusual ones first"
    return make_table("columns", caption, records, header=header, cells=cells)


def _most(shown: int, count: int) -> str:
    return "" if shown == count else f" Shown are the {shown} tasks farthest beyond their bounds."


def _drift_rank(task: TaskDrift) -> tuple[int, float]:
    order = ("drift", "no drift", "too few rows", "not compared")
    far = 0.0 if task.drift is None else -task.drift.psi / task.psi_bound
    return order.index(task.verdict), far


def _calibration_rank(task: TaskDrift) -> tuple[int, float]:
    order = ("off", "calibrated", "too few labels")
    far = 0.0 if task.calibration is None else -task.calibration.ece / task.ece_bound
    return order.index(task.calibration_verdict), far
