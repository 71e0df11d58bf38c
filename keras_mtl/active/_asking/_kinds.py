"""The distributions that a task predicts, whatever its kind."""

from typing import Any

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.active._asking._distributions import FloatArray, read_distributions

_CLASSES = ("class", "one-hot", "distribution")


def check_kind(task: Task, rule: str) -> None:
    """Checks that a rule can be applied to the predictions of a task.

    Raises:
        ValueError: If it cannot.
    """
    kind = task.described().kind
    if kind in ("yes or no", *_CLASSES):
        return
    if kind == "number" and rule == "bald":
        return
    if kind == "number":
        raise ValueError(
            f"task {task.name!r} predicts a number, which has no {rule}. Use rule='bald', the "
            "variance over draws with dropout, or leave the task out: rule={'task': 'margin'}."
        )
    raise ValueError(
        f"task {task.name!r}: no rule is known for predictions of the kind {kind!r}. Leave the "
        "task out (rule={'task': 'margin'} names those that are scored), or pass scores of your "
        "own to active.choose or Pool.pick."
    )


def distributions(task: Task, prediction: Any) -> FloatArray:
    """Returns predicted distributions, `[rows, ..., classes]`; of yes or no, for each entry.

    Raises:
        ValueError: If the predictions are no probabilities.
    """
    output = task.described()
    array = np.asarray(prediction, "float64")
    if output.kind == "yes or no":
        if output.logits:
            array = 0.5 * (1.0 + np.tanh(0.5 * array))  # the sigmoid, without an overflow
        array = np.stack([1.0 - array, array], axis=-1)
    elif output.logits:
        shifted = np.exp(array - array.max(axis=-1, keepdims=True))
        array = shifted / shifted.sum(axis=-1, keepdims=True)
    return read_distributions(array, f"task {task.name!r}: the prediction")


def by_row(task: Task, values: FloatArray, mask: Any) -> FloatArray:
    """Returns scores of labels as scores of what can be bought.

    Args:
        task: The task.
        values: Scores of labels, `[rows, ...]`.
        mask: Which positions count, `[rows, positions]`; `None` if all do.

    Returns:
        `[rows, columns]` for a task with columns; otherwise `[rows]`, the mean over the labels of a
        row, and over its tokens that are not masked.
    """
    if task.columns is not None:
        return values.reshape(len(values), -1)
    if mask is None or values.ndim == 1:
        means: FloatArray = values.reshape(len(values), -1).mean(axis=1)
        return means
    valid = np.asarray(mask, "float64")
    valid = valid.reshape(valid.shape + (1,) * (values.ndim - valid.ndim))
    valid = np.broadcast_to(valid, values.shape)
    counts = valid.reshape(len(values), -1).sum(axis=1)
    sums: FloatArray = (values * valid).reshape(len(values), -1).sum(axis=1)
    result: FloatArray = sums / np.maximum(counts, 1.0)
    return result
