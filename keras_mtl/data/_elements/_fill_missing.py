"""Missing labels: the one place that knows NaN and sentinels."""

from typing import Any

import tensorflow as tf


def fill_missing(
    label: Any, task_sentinel: float | None, integer_sentinel: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces missing labels by 0, and tells which labels are valid.

    Args:
        label: A tensor, dense or ragged.
        task_sentinel: The value that marks a missing label of this task, beside NaN; `None` if
            the task has no such value of its own.
        integer_sentinel: The value that marks a missing integer label if `task_sentinel` is `None`.

    Returns:
        The dense labels, and booleans of the same shape: `True` where there is a label.
    """
    if isinstance(label, tf.RaggedTensor):
        filled, valid = fill_missing(label.flat_values, task_sentinel, integer_sentinel)
        return (
            label.with_flat_values(filled).to_tensor(),
            label.with_flat_values(valid).to_tensor(False),
        )
    label = tf.convert_to_tensor(label)
    valid = tf.ones_like(label, tf.bool)
    if label.dtype.is_floating:
        valid = ~tf.math.is_nan(label)
        if task_sentinel is not None:
            valid &= label != tf.cast(task_sentinel, label.dtype)
    elif label.dtype.is_integer:
        sentinel = integer_sentinel if task_sentinel is None else task_sentinel
        # Unsigned integers cannot hold a negative sentinel, so none of them is missing.
        # Nor is any integer equal to a fraction, which a cast would cut.
        if label.dtype.min <= sentinel <= label.dtype.max and sentinel == int(sentinel):
            valid = label != tf.cast(sentinel, label.dtype)
    # Weight 0 would not hide a NaN from the gradient (docs/keras_notes.md, F5; keras#3206).
    return tf.where(valid, label, tf.zeros_like(label)), valid
