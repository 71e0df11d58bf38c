"""One number per row and task, whose gradients explain the task's prediction."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._keras_internals import mask_of
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._cut import learned_number

ALL = -1
"""The target of a task whose entries are averaged, or that has one."""

PREDICTED = -2
"""The target of a task with classes: the class that is predicted."""


_CLASSES = ("class", "one-hot", "distribution")


def read_targets(
    tasks: Sequence[Task], targets: Mapping[str, Any] | None, outputs: Mapping[str, Tensor]
) -> dict[str, int]:
    """Returns for each task the entry of its last axis that is explained, `ALL` or `PREDICTED`.

    Raises:
        ValueError: If targets name no task, or no entry of its output.
    """
    targets = dict(targets or {})
    unknown = sorted(set(targets) - {task.name for task in tasks})
    if unknown:
        raise ValueError(
            f"targets name {unknown}; expected names of tasks: {[task.name for task in tasks]}."
        )
    result = {}
    for task in tasks:
        size = outputs[task.name].shape[-1] if len(outputs[task.name].shape) > 1 else 1
        if task.name in targets:
            result[task.name] = _read(task, targets[task.name], size)
        else:
            has_classes = task.described().kind in _CLASSES and size != 1
            result[task.name] = PREDICTED if has_classes else ALL
    return result


def _read(task: Task, target: Any, size: int | None) -> int:
    labels = task.labels.names if task.labels is not None and task.labels.names else ()
    names = list(task.columns or labels)
    entry = names.index(target) if target in names else target
    if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < (size or 0):
        known = f", or one of {names}" if names else ""
        raise ValueError(
            f"task {task.name!r}: the target is {target!r}; expected an entry of its last axis, "
            f"from 0 to {(size or 0) - 1}{known}."
        )
    return entry


def chosen_entries(prediction: Tensor, target: int) -> Tensor:
    """Returns the entry of the last axis that is explained in each row (and position)."""
    number = learned_number(prediction)
    if target == PREDICTED:
        return tf.argmax(number, axis=-1, output_type=tf.int32)
    return tf.zeros(tf.shape(number)[:-1], tf.int32)


def explained_number(prediction: Tensor, target: int, entries: Tensor) -> Tensor:
    """Returns the number of each row that is explained, float32 `(batch,)`.

    It is what the network learns, such as a logit, and its mean over positions without a mask.

    Args:
        prediction: The prediction of a task.
        target: The entry of its last axis, `ALL` or `PREDICTED`.
        entries: The predicted entries, as `chosen_entries` returns them.
    """
    number = tf.cast(learned_number(prediction), tf.float32)
    if number.shape.rank == 1:
        return number
    if target == PREDICTED:
        number = tf.gather(number, entries, axis=-1, batch_dims=number.shape.rank - 1)
    elif target == ALL:
        number = tf.reduce_mean(number, axis=-1)
    else:
        number = number[..., target]
    if number.shape.rank == 1:
        return number
    axes = list(range(1, number.shape.rank))
    mask = mask_of(prediction)
    if mask is None or mask.shape.rank != number.shape.rank:
        return tf.reduce_mean(number, axis=axes)
    weights = tf.cast(mask, tf.float32)
    total = tf.reduce_sum(tf.where(mask, number, 0.0), axis=axes)
    return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=axes))
