"""The labels of the test rows, and which metrics can be computed of them row by row."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import scipy.special
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis import Metric

_YES_OR_NO = {
    "auc": "auc",
    "pr_auc": "pr_auc",
    "accuracy": "accuracy",
    "binary_accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1": "f1",
    "mcc": "mcc",
    "log_loss": "log_loss",
    "binary_crossentropy": "log_loss",
}
_OVER_COLUMNS = {"macro_auc": "macro_auc", "macro_f1": "macro_f1"}
_CLASS = {
    "accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "mcc": "mcc",
    "macro_auc": "macro_auc",
    "macro_f1": "macro_f1",
    "log_loss": "log_loss",
    "sparse_categorical_crossentropy": "log_loss",
}
_NUMBER = {
    "mae": "mae",
    "mean_absolute_error": "mae",
    "mse": "mse",
    "mean_squared_error": "mse",
    "rmse": "rmse",
    "root_mean_squared_error": "rmse",
    "r2": "r2",
    "r2_score": "r2",
    "spearman": "spearman",
}
_KINDS = {"yes or no": {**_YES_OR_NO, **_OVER_COLUMNS}, "class": _CLASS, "number": _NUMBER}

_CUTTING = {"accuracy", "balanced_accuracy", "f1", "macro_f1", "mcc"}


@dataclasses.dataclass(frozen=True)
class LabeledRows:
    """Holds the labels of the test rows of all tasks.

    Args:
        labels: By task, `[n]` or `[n, C]`, NaN where one is missing; of tasks whose metric can be
            computed row by row.
        metrics: Their metrics.
        reasons: By task, why another one's metric cannot.
    """

    labels: Mapping[str, npt.NDArray[Any]]
    metrics: Mapping[str, Metric]
    reasons: Mapping[str, str]

    def predictions(self, task: Task, values: Any) -> npt.NDArray[Any]:
        """Returns predictions of a task as its metric reads them, probabilities for logits."""
        values = np.asarray(values)
        described = task.described()
        if described.logits and described.kind == "yes or no":
            values = scipy.special.expit(values)
        if described.logits and described.kind == "class":
            values = scipy.special.softmax(values, axis=-1)
        return np.asarray(values)


def read_test_rows(
    batches: tf.data.Dataset, tasks: Sequence[Task], metrics: Mapping[str, str]
) -> LabeledRows:
    """Reads the labels of the test rows.

    Args:
        batches: `(x, y, w)` with missing labels masked by weight 0.
        tasks: The tasks.
        metrics: The name of the metric of each task.
    """
    gathered: dict[str, list[Any]] = {task.name: [] for task in tasks}
    of_task: dict[str, Metric] = {}
    reasons: dict[str, str] = {}
    for task in tasks:
        metric = _metric_of_rows(task, metrics[task.name])
        if isinstance(metric, str):
            reasons[task.name] = metric
        else:
            of_task[task.name] = metric
    readable = [task for task in tasks if task.name in of_task]
    for _, labels, weights in batches:
        for task in readable:
            if task.name in reasons:
                continue
            rows = read_batch(task, labels[task.name].numpy(), weights[task.name].numpy())
            if isinstance(rows, str):
                reasons[task.name] = rows
            else:
                gathered[task.name].append(rows)
    names = [task.name for task in readable if task.name not in reasons]
    return LabeledRows(
        {name: np.concatenate(gathered[name]) for name in names},
        {name: of_task[name] for name in names},
        reasons,
    )


def read_batch(task: Task, labels: Any, weights: Any) -> npt.NDArray[Any] | str:
    """Returns the labels of a batch, NaN where one is missing, or why they cannot be used."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    weights = np.broadcast_to(
        weights.reshape(weights.shape[: labels.ndim] + (1,) * (labels.ndim - weights.ndim)),
        labels.shape,
    )
    if labels.ndim > 2 or (labels.ndim == 2 and not task.elementwise):
        return "a row has several labels that belong together"
    if np.unique(weights[weights != 0]).size > 1:
        return "test rows have different weights"
    numbers: npt.NDArray[Any] = np.where(weights == 0, np.nan, labels.astype(np.float64))
    return numbers


def _metric_of_rows(task: Task, name: str) -> Metric | str:
    """Returns the metric that `analysis.compare` computes, or why there is none."""
    kind = task.described().kind
    known = _KINDS.get(kind, {})
    written = next((m for m in task.metrics if _name_of(m) == name), None)
    if isinstance(written, keras.metrics.Metric):
        return "its metric is an object, which is computed by Keras alone"
    if written is None or name not in known:
        return f"{name!r} cannot be computed row by row for labels of the kind {kind!r}"
    if known[name] in _CUTTING and kind == "yes or no":
        threshold = 0.5 if task.threshold is None else task.threshold
        return Metric(known[name], threshold=threshold)
    return Metric(known[name])


def _name_of(metric: Any) -> str:
    return metric if isinstance(metric, str) else str(getattr(metric, "name", ""))
