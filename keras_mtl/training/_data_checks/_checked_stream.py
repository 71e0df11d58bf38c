"""A dataset that checks each batch when it comes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
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
            right += _finite_sums([_fill(leaf, filled.get(name, ())) for name, leaf in leaves])
        right += _labels_in_range(tasks, labels)
        right += _finite_sums(
            [weight for weight in weights.values() if _floats(weight) is not None]
        )
        right += _labels_together(tasks, labels, weights)
        if right:
            look = _looking(doubt, number, (x, labels, weights))
            verdict = tf.cond(tf.reduce_all(tf.stack(right)), lambda: True, look)
            element = _after(verdict, element)
        return element

    # AutoGraph would rewrite the Python of `check`, which needs none of it (docs/keras_notes.md,
    # pain 83).
    return _numbered(dataset).map(tf.autograph.experimental.do_not_convert(check))


def _after(verdict: Tensor, element: Any) -> Any:
    """Returns an element that is not complete before the verdict: one of its tensors waits."""
    leaves = tf.nest.flatten(element)
    first = next(i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf))
    with tf.control_dependencies([verdict]):
        leaves[first] = tf.identity(leaves[first])
    return tf.nest.pack_sequence_as(element, leaves)


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


def _finite_sums(values: Sequence[Any]) -> list[Tensor]:
    """Returns whether the sum of all numbers is finite: then each of them is.

    The sum of large numbers may overflow, which `doubt` finds out. One sum is much faster than a
    look at each number, and most of the time of this check goes into starting its operations.
    """
    # In the floats in which Keras trains; the sum of half ones would soon overflow.
    dtype = tf.float64 if keras.config.floatx() == "float64" else tf.float32
    sums = [tf.reduce_sum(tf.cast(_floats(value), dtype)) for value in values]
    return [tf.math.is_finite(tf.add_n(sums))] if sums else []


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
            flat = values if values.shape.rank == 1 else tf.reshape(values, (-1,))
            groups.setdefault(key, []).append(flat)
    right = []
    for (dtype, low, high, integer), parts in groups.items():
        values = tf.concat(parts, 0) if len(parts) > 1 else parts[0]
        if dtype == tf.bool:
            continue
        if not dtype.is_floating:
            values = tf.cast(values, tf.float64)
        # The bounds of a small dtype would be infinite in it, so that infinity were within them.
        low, high = max(low, float(values.dtype.min)), min(high, float(values.dtype.max))
        expected = tf.raw_ops.ClipByValue(
            t=values,
            clip_value_min=tf.constant(low, values.dtype),
            clip_value_max=tf.constant(high, values.dtype),
        )
        if integer and dtype.is_floating:
            expected = tf.round(expected)
        right.append(tf.reduce_all(values == expected))  # NaN equals nothing
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
        if task.labels.time_to_event:
            events = values[..., 1]
            right.append(tf.reduce_all(tf.equal(events, events * events)))  # 0 or 1
        if task.name in weights and not _fit_any_loss(task, weights[task.name], values):
            right.append(tf.constant(False))
    return right


def _fit_any_loss(task: Task, weights: Tensor, labels: Tensor) -> bool:
    """Returns whether weights of such a shape are right for the task's loss, whatever they are."""
    reads = "element" if task.reading is None else task.reading.reads
    if task.reading is not None and task.reading.lists:
        return True
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
    # Its numbers are cheaper than those of `counter`, which calls a function for each; repeated,
    # since the pairs have the cardinality of the shorter one.
    numbers = tf.data.Dataset.range(tf.int64.max).repeat()
    return tf.data.Dataset.zip(numbers, dataset)


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
