"""What a constant answer scores on the test rows: the floor that any network has to pass."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl._tasks import Task
from keras_mtl.analysis._verdicts._cells import Cell, cut_cells
from keras_mtl.analysis._verdicts._read_labels import read_labels
from keras_mtl.analysis._verdicts._read_metrics import read_metrics
from keras_mtl.analysis._verdicts._read_predictions import read_predictions
from keras_mtl.analysis._verdicts._scores import score
from keras_mtl.data._elements._numbers import num_classes
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._data._test_rows import LabeledRows, read_batch

_MOST_ROWS = 200_000


def score_constants(data: StudyData, tasks: Sequence[Task], rows: LabeledRows) -> dict[str, float]:
    """Returns the score of the best constant answer that the training labels know, by row name.

    It answers the share of each class (so the class that is most frequent), the share of yes of
    each yes-or-no label, the median of numbers for the mean absolute error and their mean for other
    metrics. Tasks whose metric Keras alone computes, and rows without such a score (Spearman's
    correlation with a constant), are left out.

    Args:
        data: The data, whose first 200,000 training rows are read.
        tasks: The tasks.
        rows: The labels of the test rows, and the metrics.
    """
    scored = [task for task in tasks if task.name in rows.labels]
    if not scored:
        return {}
    known = _read_training(data, scored)
    usable = [task for task in scored if task.name in known]
    floors: dict[str, float] = {}
    for task in usable:
        metric = rows.metrics[task.name]
        unknown = np.isnan(known[task.name]).all(axis=0)  # a column without a training label
        constant = _constant(task, np.where(unknown, 0.0, known[task.name]), metric.name)
        labels = rows.labels[task.name]
        answers = np.broadcast_to(constant, (1, len(labels), *np.shape(constant)))
        read = read_labels({task.name: labels})
        predictions = read_predictions({task.name: answers}, read, "baseline")
        cells = cut_cells(read, predictions, predictions, read_metrics(metric, [task.name]))
        for position, cell in enumerate(cells):
            value = score(cell)
            if np.isfinite(value) and not (unknown.ndim and unknown[position]):
                floors[_name(task, position, cell)] = value
    return floors


def _read_training(data: StudyData, tasks: Sequence[Task]) -> dict[str, npt.NDArray[Any]]:
    """Returns the training labels by task, NaN where one is missing."""
    gathered: dict[str, list[Any]] = {task.name: [] for task in tasks}
    rows = 0
    for _, labels, weights in itertools.islice(data.open("train", tasks), data.steps):
        for task in tasks:
            # Whether there is a label, however much it weighs in training.
            present = (weights[task.name].numpy() != 0).astype(np.float64)
            numbers = read_batch(task, labels[task.name].numpy(), present)
            if not isinstance(numbers, str):
                gathered[task.name].append(numbers)
        rows += len(labels[tasks[0].name])
        if rows >= _MOST_ROWS:
            break
    return {name: np.concatenate(parts) for name, parts in gathered.items() if parts}


def _constant(task: Task, labels: npt.NDArray[Any], metric: str) -> npt.NDArray[Any]:
    """Returns the answer: a number, one per column, or the shares of the classes."""
    if task.described().kind == "class":
        classes = labels[~np.isnan(labels)].astype(int)
        counts = np.bincount(classes, minlength=num_classes(task) or 0)
        return np.asarray(counts / counts.sum())
    best = np.nanmedian if metric == "mae" else np.nanmean
    return np.asarray(best(labels, axis=0))


def _name(task: Task, position: int, cell: Cell) -> str:
    if cell.column is None:
        return task.name
    return f"{task.name}[{cell.column if task.columns is None else task.columns[position]}]"
