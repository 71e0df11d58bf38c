"""One cell per task, column and metric."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._metric import Metric
from keras_mtl.analysis._verdicts._read_labels import IntArray, TaskLabels
from keras_mtl.analysis._verdicts._read_metrics import threshold_of
from keras_mtl.analysis._verdicts._read_predictions import Predictions
from keras_mtl.analysis._verdicts._scorers import FUNCTIONS, OVER_COLUMNS, SCORERS, Function, Scorer


@dataclasses.dataclass(frozen=True)
class Cell:
    """Holds the labeled rows of a task, or of one of its columns, for one metric.

    Args:
        task: The name of the task.
        column: The name of the column, or `None`.
        metric: The metric, with its direction.
        rows: The positions of the m labeled rows among the n rows.
        labels: `[m]`, or `[m, C]` for a metric that reads all columns.
        predictions: Those of the baseline and of the contender, `[S, m]` or `[S, m, C]`.
        thresholds: Those of the baseline and of the contender.
        smallest_class: The least number of rows of both labels, 0 and 1, for a test.
    """

    task: str
    column: str | None
    metric: Metric
    rows: IntArray
    labels: FloatArray
    predictions: tuple[Predictions, Predictions]
    thresholds: tuple[Any, Any]
    smallest_class: int = 0

    @property
    def name(self) -> str:
        """The task, its column and the metric, for errors."""
        column = "" if self.column is None else f", column {self.column!r}"
        return f"task {self.task!r}{column}, metric {self.metric.name!r}"

    @property
    def num_seeds(self) -> int:
        """S."""
        return len(self.predictions[0])


def cut_cells(
    labels: Mapping[str, TaskLabels],
    baseline: Mapping[str, Predictions],
    contender: Mapping[str, Predictions],
    metrics: Mapping[str, list[Metric]],
) -> Iterator[Cell]:
    """Yields the cells, in the order of tasks, metrics and columns.

    Raises:
        ValueError: If a prediction of a labeled row is not finite, or the two models differ in
            shape.
    """
    for task, task_labels in labels.items():
        models = baseline[task], contender[task]
        shapes = [values.shape for values in models]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"task {task!r}: predictions have shape {shapes[0]} for the baseline and "
                f"{shapes[1]} for the contender; expected the same seeds, rows and entries: the "
                "models are paired by seed."
            )
        for metric in metrics[task]:
            reads_columns = metric.function is not None or metric.name in OVER_COLUMNS
            if task_labels.columns is None or reads_columns:
                yield _cut(task, task_labels.values, models, metric, None, None)
                continue
            for position, column in enumerate(task_labels.columns):
                of_column = models[0][:, :, position], models[1][:, :, position]
                values = task_labels.values[:, position]
                yield _cut(task, values, of_column, metric, position, column)


def _cut(
    task: str,
    labels: FloatArray,
    models: tuple[Predictions, Predictions],
    metric: Metric,
    position: int | None,
    column: str | None,
) -> Cell:
    is_labeled = ~np.isnan(labels)
    rows = np.flatnonzero(is_labeled if labels.ndim == 1 else is_labeled.any(axis=1))
    thresholds = (
        threshold_of(metric, "baseline", position),
        threshold_of(metric, "contender", position),
    )
    predictions = models[0][:, rows], models[1][:, rows]
    cell = Cell(task, column, metric, rows.astype(np.int64), labels[rows], predictions, thresholds)
    for model, values in zip(("baseline", "contender"), predictions, strict=True):
        _check_finite(cell, model, values)
    return _resolve(cell)


def _resolve(cell: Cell) -> Cell:
    """Returns a cell whose metric has its function, if it is one that a name stands for."""
    name = cell.metric.name
    if cell.metric.function is not None or len(cell.rows) == 0:
        return cell
    if name in SCORERS:
        return dataclasses.replace(cell, smallest_class=SCORERS[name].smallest_class)
    return dataclasses.replace(
        cell,
        metric=dataclasses.replace(cell.metric, function=FUNCTIONS[name].evaluate),
        predictions=prepare(cell, FUNCTIONS[name]),
        smallest_class=FUNCTIONS[name].smallest_class,
    )


def prepare(cell: Cell, scorer: Scorer | Function) -> tuple[Any, Any]:
    """Returns the values of rows that a metric reads, of the baseline and of the contender.

    Raises:
        ValueError: If labels or predictions do not fit the metric.
    """
    try:
        baseline, contender = (
            scorer.prepare(cell.labels, values, threshold)
            for values, threshold in zip(cell.predictions, cell.thresholds, strict=True)
        )
    except ValueError as error:
        raise ValueError(f"{cell.name}: {error}") from error
    return baseline, contender


def _check_finite(cell: Cell, model: str, values: Predictions) -> None:
    if np.isfinite(values).all():
        return
    wrong = ~np.isfinite(values)
    seed = int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0])
    raise ValueError(
        f"{cell.name}: seed {seed} of the {model} predicts NaN or infinite values in "
        f"{int(wrong[seed].sum())} entries of labeled rows; expected finite ones. Leave out this "
        "seed in both models if its training failed, and report that it did."
    )
