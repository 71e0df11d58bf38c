"""A dataset that checks each batch when it comes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from keras_mtl._replicas import several_workers
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data._inputs._finite_inputs import WHOLE, name_leaves

Doubt: TypeAlias = Callable[[int, Any, dict[str, Any], dict[str, Any]], None]
"""Looks at a batch: at its number, and its inputs, labels and weights as arrays.

Raises an error if they are wrong.
"""

_NEAR = 5e-4  # half of the tolerance of `doubt`, which computes in float64
_LARGEST = float(np.finfo(np.float32).max)


def checked_stream(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    doubt: Doubt,
    *,
    labeled: bool,
    filled: Mapping[str, Sequence[int]] | None,
) -> tf.data.Dataset:
    """Returns the same batches, each of which is checked before it leaves the dataset.

    The check is a few operations of the graph: sums of inputs, comparisons of labels. Only a batch
    that does not pass it is handed to `doubt`, which looks at it number by number.

    Args:
        dataset: Yields `x`, `(x,)`, `(x, y)` or `(x, y, w)`.
        tasks: The tasks.
        doubt: Looks at a batch that may be wrong.
        labeled: Whether labels and weights are checked.
        filled: By name of an input, the columns in which the network is known to fill NaN: these
            are no reason to doubt. `None`: inputs are not checked.
    """
    is_tuple = isinstance(dataset.element_spec, tuple)

    def check(number: Tensor, element: Any) -> Any:
        x, y, w = (*(element if is_tuple else (element,)), None, None)[:3]
        labels = dict(y) if labeled else {}
        weights = dict(w) if labeled and isinstance(w, Mapping) else {}
        right = []
        if filled is not None:
            leaves = [(name, leaf) for name, leaf in name_leaves(x) if _floats(leaf) is not None]
            right += [_finite_sum(_fill(leaf, filled.get(name, ()))) for name, leaf in leaves]
        right += _labels_in_range(tasks, labels)
        right += [_finite_sum(weight) for weight in weights.values()]
        right += _labels_together(tasks, labels, weights)
        if right:
            look = _looking(doubt, number, (x, labels, weights))
            verdict = tf.cond(tf.reduce_all(tf.stack(right)), lambda: True, look)
            with tf.control_dependencies([verdict]):
                element = tf.nest.map_structure(_same, element)
        return element

    # AutoGraph would rewrite the Python of `check`, which needs none of it (docs/keras_notes.md,
    # pain 83).
    return _numbered(dataset).map(tf.autograph.experimental.do_not_convert(check))


def _same(value: Any) -> Any:
    """Returns a tensor after the operations on which it depends; other values as they are."""
    return tf.identity(value) if tf.is_tensor(value) else value


def _floats(leaf: Any) -> Tensor | None:
    """Returns the floats of a tensor, dense, sparse or ragged; `None` for other values."""
    leaf = leaf.values if isinstance(leaf, tf.SparseTensor) else leaf
    leaf = leaf.flat_values if isinstance(leaf, tf.RaggedTensor) else leaf
    return leaf if tf.is_tensor(leaf) and leaf.dtype.is_floating else None


def _fill(leaf: Any, columns: Sequence[int]) -> Any:
    """Returns an input with 0 for NaN in some columns."""
    if not columns:
        return leaf
    filled = tf.math.is_nan(leaf)
    if WHOLE not in columns:
        filled &= np.isin(np.arange(leaf.shape[-1]), columns)
    return tf.where(filled, tf.zeros_like(leaf), leaf)


def _finite_sum(value: Any) -> Tensor:
    """Returns whether the sum of a tensor is finite: then each of its numbers is.

    The sum of large numbers may overflow, which `doubt` finds out. One sum is much faster than a
    look at each number.
    """
    floats = _floats(value)
    if floats is None:
        return tf.constant(True)
    wide = floats if floats.dtype.size >= 4 else tf.cast(floats, tf.float32)
    return tf.math.is_finite(tf.reduce_sum(wide))


def _labels_in_range(tasks: Sequence[Task], labels: Mapping[str, Any]) -> list[Tensor]:
    """Returns whether labels are in range, finite and, if they are classes, whole numbers.

    Tasks with the same dtype and range are looked at together.
    """
    groups: dict[Any, list[Tensor]] = {}
    for task in tasks:
        if task.name in labels and task.labels is not None:
            values, expected = labels[task.name], task.labels
            low = -_LARGEST if expected.low is None else expected.low
            high = _LARGEST if expected.high is None else expected.high
            key = (values.dtype, low, high, expected.integer)
            groups.setdefault(key, []).append(tf.reshape(values, (-1,)))
    right = []
    for (dtype, low, high, integer), parts in groups.items():
        values = tf.concat(parts, 0) if len(parts) > 1 else parts[0]
        if dtype == tf.bool:
            continue
        if not dtype.is_floating:
            values = tf.cast(values, tf.float64)
        # NaN is in no range.
        inside = (values >= tf.cast(low, values.dtype)) & (values <= tf.cast(high, values.dtype))
        if integer and dtype.is_floating:
            inside &= values == tf.round(values)
        right.append(tf.reduce_all(inside))
    return right


def _labels_together(
    tasks: Sequence[Task], labels: Mapping[str, Any], weights: Mapping[str, Any]
) -> list[Tensor]:
    """Returns whether labels that a loss reads together are right, without a look at weights."""
    right = []
    for task in tasks:
        if task.name not in labels or task.labels is None:
            continue
        values = labels[task.name]
        if task.labels.one_hot:
            sums = tf.reduce_sum(tf.cast(values, tf.float32), axis=-1)
            right.append(tf.reduce_all(tf.abs(sums - 1.0) < _NEAR))
        if task.name in weights and not _fit_any_loss(task, weights[task.name], values):
            right.append(tf.constant(False))
    return right


def _fit_any_loss(task: Task, weights: Tensor, labels: Tensor) -> bool:
    """Returns whether weights of such a shape are right for the task's loss, whatever they are."""
    reads = "element" if task.reading is None else task.reading.reads
    if reads == "last axis":
        return bool(weights.shape.rank < labels.shape.rank or not task.has_last_axis)
    return reads == "element" or (reads == "example" and weights.shape.rank == 1)


def _numbered(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns pairs of a batch's number and the batch.

    The number is negative over several workers: TensorFlow gives each worker some of the files of
    a dataset, but would deal out the batches of one that is zipped.
    """
    if several_workers():
        is_tuple = isinstance(dataset.element_spec, tuple)
        return dataset.map(
            lambda *element: (tf.constant(-1, tf.int64), element if is_tuple else element[0])
        )
    return tf.data.Dataset.zip(tf.data.Dataset.counter(), dataset)


def _looking(
    doubt: Doubt, number: Tensor, batch: tuple[Any, dict[str, Any], dict[str, Any]]
) -> Callable[[], Tensor]:
    """Returns a function that hands a batch, as arrays, to `doubt`."""
    # What is no tensor, such as an empty optional, cannot be handed over.
    tensors = tf.nest.map_structure(lambda value: value if tf.is_tensor(value) else (), batch)
    numbered = (number, tensors)

    def call(*arrays: Any) -> Any:
        of_batch, parts = tf.nest.pack_sequence_as(numbered, arrays, expand_composites=True)
        doubt(int(of_batch), *parts)
        return np.True_

    flat = tf.nest.flatten(numbered, expand_composites=True)
    return lambda: tf.numpy_function(call, flat, tf.bool)
