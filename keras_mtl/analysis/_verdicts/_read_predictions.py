"""Predictions of several seeds by task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._verdicts._read_labels import TaskLabels, is_frame

Predictions = npt.NDArray[Any]
"""Predictions of S seeds, `[S, n]` or `[S, n, C]`, in the type of floats in which they came."""


def read_predictions(
    predictions: Any, labels: Mapping[str, TaskLabels], model: str
) -> dict[str, Predictions]:
    """Reads predictions as a dict by task, or as a list of such dicts, one per seed.

    Args:
        predictions: The predictions.
        labels: The labels by task.
        model: `"baseline"` or `"contender"`, for errors.

    Returns:
        By task, in the order of the labels: `[S, n]` or `[S, n, C]`.

    Raises:
        TypeError: If they are neither, or hold no numbers.
        ValueError: If tasks, shapes or numbers of seeds do not fit.
    """
    if is_frame(predictions):
        predictions = {str(name): predictions[name] for name in predictions.columns}
    if isinstance(predictions, Mapping):
        _check_tasks(predictions, labels, model)
        stacks = {task: np.asarray(predictions[task]) for task in labels}
    elif isinstance(predictions, Sequence) and predictions:
        stacks = _stack_runs(predictions, labels, model)
    else:
        raise _wrong_type(predictions, model)
    read = {
        task: _read_task(stacks[task], labels[task], f"task {task!r}: predictions of the {model}")
        for task in labels
    }
    counts = {task: len(values) for task, values in read.items()}
    if len({*counts.values()}) > 1:
        raise ValueError(
            f"predictions of the {model} have these numbers of seeds: {counts}; expected the same "
            "for all tasks."
        )
    return read


def _wrong_type(predictions: Any, model: str) -> TypeError:
    return TypeError(
        f"predictions of the {model} are a {type(predictions).__name__}; expected a dict of "
        "arrays [S, n] by task, or a list of S dicts by task as `model.predict` returns them. "
        "An array of the only task goes into such a dict: {'income': array}."
    )


def _check_tasks(run: Mapping[str, Any], labels: Mapping[str, TaskLabels], model: str) -> None:
    if set(run) != set(labels):
        raise ValueError(
            f"predictions of the {model} have the tasks {sorted(map(str, run))}; expected those of "
            f"the labels, {sorted(labels)}."
        )


def _stack_runs(
    runs: Sequence[Any], labels: Mapping[str, TaskLabels], model: str
) -> dict[str, Predictions]:
    for run in runs:
        if not isinstance(run, Mapping):
            raise _wrong_type(run, model)
        _check_tasks(run, labels, model)
    stacks = {}
    for task in labels:
        arrays = [np.asarray(run[task]) for run in runs]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"task {task!r}: predictions of the {model} have the shapes {sorted(shapes)}; "
                "expected the same for all seeds."
            )
        stacks[task] = np.stack(arrays)
    return stacks


def _read_task(values: Predictions, labels: TaskLabels, where: str) -> Predictions:
    """Returns predictions with the seeds as their first axis, and no last axis of one entry."""
    num_rows = len(labels.values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{where} have dtype {values.dtype}; expected numbers.")
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.ndim == 1 or (values.ndim == 2 and values.shape[1] != num_rows == len(values)):
        values = values[None]  # one seed, as `model.predict` returns it
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    fits = values.ndim in (2, 3) and values.shape[1] == num_rows and len(values) > 0
    if not fits:
        raise ValueError(
            f"{where} have shape {values.shape}; expected [S, {num_rows}] for S seeds and the "
            f"{num_rows} rows of the labels, or [S, {num_rows}, C] for C columns or classes."
        )
    width = labels.values.shape[1] if labels.values.ndim == 2 else None
    if width is not None and values.shape[2:] != (width,):
        raise ValueError(
            f"{where} have shape {values.shape}; expected [S, {num_rows}, {width}] for labels of "
            f"{width} columns."
        )
    return values
