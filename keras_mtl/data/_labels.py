"""Missing labels: the one place that knows NaN and sentinels."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._compile import check_tasks
from keras_mtl._tasks import Task
from keras_mtl.data._structure import check_keys, split_element
from keras_mtl.data._weights import merge_weights


def mask_missing(
    dataset: tf.data.Dataset, tasks: Sequence[Task], *, sentinel: int = -1
) -> tf.data.Dataset:
    """Turns missing labels into a filler and a zero weight.

    A label is missing where it is NaN (floats) or equal to `sentinel` (integers). It becomes 0,
    and its weight 0, so that neither loss nor metrics see it (a NaN would survive a zero
    weight: 0 * NaN is NaN). Use it before or after batching, with the same result. Where no
    label is missing it is not needed.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)`, single examples or batches. `y` is a dict with
            exactly the names of the tasks; `w` is a dict with some of them, whose weights have
            the shape of the label or fewer axes.
        tasks: The tasks that the labels belong to.
        sentinel: Marks a missing integer label. Defaults to `-1`.

    Returns:
        A dataset of `(x, y, w)` of the same cardinality. `w` holds a float32 weight for each
        label: of shape `(batch,)` for one label an example, and of the shape of the labels
        for several (tokens, pixels, the columns of a task). Weights that were given are
        multiplied in; tasks without any have ones.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a task has no label, a label no task, or a weight no task.

    Example:
        >>> from keras_mtl import Task
        >>> y = {"age": [31.0, float("nan")], "topic": [-1, 3]}
        >>> dataset = tf.data.Dataset.from_tensor_slices(([[0.0], [1.0]], y)).batch(2)
        >>> tasks = [Task.regression("age"), Task.multiclass("topic", 4)]
        >>> x, y, w = next(iter(mask_missing(dataset, tasks)))
        >>> y["age"].numpy().tolist(), w["age"].numpy().tolist(), w["topic"].numpy().tolist()
        ([31.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    """
    tasks = check_tasks(tasks)
    _, y_spec, w_spec = split_element(dataset)
    check_keys(y_spec, tasks, "label", complete=True)
    check_keys(w_spec, tasks, "sample weight", complete=False)

    def mask(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        labels, weights = {}, {}
        for task in tasks:
            label, valid = _fill(tf.convert_to_tensor(y[task.name]), sentinel)
            labels[task.name] = label
            weights[task.name] = merge_weights(tf.cast(valid, tf.float32), w, task)
        return x, labels, weights

    return dataset.map(mask, num_parallel_calls=tf.data.AUTOTUNE)


def _fill(label: tf.Tensor, sentinel: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The label with 0 where it is missing, and where it is not."""
    if label.dtype.is_floating:
        valid = ~tf.math.is_nan(label)
    elif label.dtype.is_integer and label.dtype.min <= sentinel <= label.dtype.max:
        valid = label != tf.cast(sentinel, label.dtype)
    else:  # booleans, and unsigned integers below which the sentinel lies
        valid = tf.ones_like(label, tf.bool)
    return tf.where(valid, label, tf.zeros_like(label)), valid
