"""Labels and weights that a loss reads together: rows of classes, whole examples, the batch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl._tasks import Task

Array = npt.NDArray[Any]

_TOLERANCE = 1e-3


def check_weights_together(task: Task, weights: Array, labels: Array) -> None:
    """Checks that weights are 0 or equal among labels that the task's loss reads together.

    Raises:
        ValueError: If they differ.
    """
    reading = task.reading
    if reading is None or reading.reads == "element" or reading.lists:
        return
    if weights.ndim > labels.ndim:
        weights = weights[..., 0]
    groups = weights.reshape(1, -1)
    if reading.reads == "example":
        groups = weights.reshape(len(weights), -1)
    elif reading.reads == "last axis":
        if weights.ndim < labels.ndim or not task.has_last_axis:
            return  # one weight per row
        groups = weights.reshape(-1, weights.shape[-1])
    elif reading.overlap and not task.reads_batch:
        return
    valid = groups != 0
    lowest = np.where(valid, groups, np.inf).min(axis=1)
    highest = np.where(valid, groups, -np.inf).max(axis=1)
    if reading.reads == "last axis":
        lowest = np.where(valid.all(axis=1), lowest, np.inf)  # with one missing, all of them are
    wrong = lowest < highest
    if wrong.any():
        values = sorted({float(w) for w in groups[wrong][0]} - {0.0})[:2]
        raise ValueError(
            f"task {task.name!r}: a value of its loss depends on the {reading.reads}, so that "
            f"sample weights must be 0 or equal there; received {values[0]:g} and {values[1]:g}. "
            "Give one weight per example, or a loss with one value per label (of a mean or a sum "
            "over the batch, reduce the last axis alone)."
        )


def check_one_hot(task: Task, labels: Array, weights: Array | None) -> None:
    """Checks that rows of one-hot or soft labels sum to 1, except for missing ones.

    Raises:
        ValueError: If one does not.
    """
    if task.labels is None or not task.labels.one_hot:
        return
    rows = labels.reshape(-1, labels.shape[-1]).astype("float64")
    if weights is not None:
        valid = _broadcast(weights, labels) != 0
        rows = rows[valid.reshape(rows.shape).all(axis=1)]
    sums = rows.sum(axis=1)
    wrong = np.abs(sums - 1) > _TOLERANCE
    if wrong.any():
        raise ValueError(
            f"task {task.name!r}: a row of its one-hot labels sums to {sums[wrong][0]:g}; expected "
            "1. Where several classes may be right, use Task.multilabel; a row without a class is "
            "a missing label: NaN, with data.mask_missing(dataset, tasks)."
        )


def check_events(task: Task, labels: Array, weights: Array | None) -> None:
    """Checks that labels of times and events say 0 or 1, except for missing ones.

    Raises:
        ValueError: If one does not.
    """
    if task.labels is None or not task.labels.time_to_event:
        return
    events = labels[..., 1]
    if weights is not None:
        events = events[(_broadcast(weights, labels) != 0).all(axis=-1)]
    wrong = ~np.isin(events, (0, 1)) & ~np.isnan(events)
    if wrong.any():
        raise ValueError(
            f"task {task.name!r}: an event is {events[wrong][0]:g}; labels are rows of a time, and "
            "1 if the event came then or 0 if the observation ended."
        )


def _broadcast(weights: Array, labels: Array) -> Array:
    if weights.ndim > labels.ndim:
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim))
    return np.broadcast_to(weights, labels.shape)
