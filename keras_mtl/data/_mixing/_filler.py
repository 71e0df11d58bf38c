"""Completes the elements of one set: the inputs, labels and weights that other sets have."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._make_blank import make_blank
from keras_mtl.data._elements._merge_weights import merge_weights
from keras_mtl.data._mixing._layout import Layout


def make_filler(name: str, layout: Layout, tasks: Sequence[Task]) -> Callable[..., Any]:
    """Returns a function that brings batches of one set to the layout of all sets.

    The inputs that the set does not have are zero. The labels that it does not have are zero and
    weigh 0; its other labels weigh 1, or as much as the set's weights say. Only sets of one
    structure can be drawn from together (docs/keras_notes.md, pain 51).

    The function raises `tf.errors.InvalidArgumentError` where a label of positive weight is out
    of the task's range, and names the set, the task and the labels.
    """

    def fill(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0]
        # Tasks with labels of one kind share their zeros: fewer operations per batch.
        zeros = functools.cache(lambda spec, dtype: make_blank(spec, dtype, rows, x))
        labels, weights = {}, {}
        for task in tasks:
            spec = layout.labels[task.name]
            if task.name in y:
                label = _squeeze(tf.cast(y[task.name], spec.dtype), spec)
                weights[task.name] = merge_weights(tf.ones_like(label, tf.float32), w, task)
                labels[task.name] = _check_range(name, task, label, weights[task.name])
            else:
                labels[task.name] = zeros(spec, spec.dtype)
                weights[task.name] = zeros(spec, tf.float32)
        if isinstance(layout.inputs, Mapping):
            joined = layout.inputs.items()
            x = {key: x[key] if key in x else zeros(spec, spec.dtype) for key, spec in joined}
        return x, labels, weights

    return fill


def _squeeze(label: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    """Returns labels `(batch, ..., 1)` as `(batch, ...)`, if the other sets have them so."""
    return label if label.shape.rank == spec.shape.rank + 1 else tf.squeeze(label, -1)


def _check_range(name: str, task: Task, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Returns the label, after a check that its entries of positive weight are in range."""
    expected = task.labels
    if expected is None or not (label.dtype.is_floating or label.dtype.is_integer):
        return label
    low = -np.inf if expected.low is None else expected.low
    high = np.inf if expected.high is None else expected.high
    if np.isinf([low, high]).all():
        return label
    value = tf.cast(label, tf.float64)
    wrong = tf.gather_nd(label, tf.where(((value < low) | (value > high)) & (weight > 0)))
    message = f"set {name!r}, task {task.name!r}: labels must be {low:g} to {high:g}; received"
    hint = "If it marks a missing label, use data.mask_missing(dataset, tasks, sentinel=...)."
    # The bare operation: tf.debugging.Assert wraps it in a cond, which costs more than the rest
    # (docs/keras_notes.md, pain 83).
    check = tf.raw_ops.Assert(condition=tf.size(wrong) == 0, data=[message, wrong, hint])
    with tf.control_dependencies([check]):
        return tf.identity(label)
