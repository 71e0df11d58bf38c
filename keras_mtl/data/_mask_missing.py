"""Missing labels: the one place that knows NaN and sentinels."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, split_element
from keras_mtl.data._elements._make_blank import blank, is_batched
from keras_mtl.data._elements._merge_weights import merge_weights


def mask_missing(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    sentinel: int | Mapping[str, float] = -1,
    absent: Sequence[str] = (),
) -> tf.data.Dataset:
    """Turns missing labels into a filler and a zero weight.

    A label is missing where it is NaN (floats) or equal to `sentinel` (integers), where a row of
    ragged labels is shorter than the longest of its batch, and where the dataset has no label of
    a task that `absent` names. It becomes 0, and its weight 0, so that neither loss nor metrics
    see it (a NaN would survive a zero weight: 0 * NaN is NaN). Use it before or after batching,
    with the same result. Where no label is missing it is not needed.

    For training with unlabeled examples too, mix a set that lacks labels with one that has
    them (`data.mixture`), or name tasks as `absent`.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)`, single examples or batches. `y` is a dict with
            exactly the names of the tasks; `w` is a dict with some of them, whose weights have
            the shape of the label or fewer axes. Labels may be ragged.
        tasks: The tasks that the labels belong to.
        sentinel: Marks a missing integer label; or, by task, marks its missing labels, integers
            or floats (`{"no2": -200.0}`). Defaults to `-1`, also for integer labels of tasks
            that a dict does not name.
        absent: Names of tasks without any label in this dataset. Naming them guards against a
            misspelt key.

    Returns:
        A dataset of `(x, y, w)` of the same cardinality. `w` holds a float32 weight for each
        label: of shape `(batch,)` for one label an example, and of the shape of the labels
        for several (tokens, pixels, the columns of a task). Weights that were given are
        multiplied in; tasks without any have ones. Ragged labels become dense.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a task has no label, a label no task, or a weight no task; or `absent` or
            `sentinel` names no task, or one that cannot be so.

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
    x_spec, y_spec, w_spec = split_element(dataset)
    given = [task for task in tasks if task.name not in absent]
    check_keys(y_spec, given, "label", complete=True)
    check_keys(w_spec, given, "sample weight", complete=False)
    check_keys(dict.fromkeys(absent), tasks, "name in absent", complete=False)
    sentinels = sentinel if isinstance(sentinel, Mapping) else {}
    check_keys(sentinels, given, "sentinel", complete=False)
    usual = -1 if isinstance(sentinel, Mapping) else sentinel
    batched = bool(absent) and is_batched(x_spec, y_spec, given)
    specs = {task.name: _label_spec(task) for task in tasks if task.name in absent}

    def mask(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0] if batched else None
        labels, weights = {}, {}
        for task in tasks:
            if task.name in specs:
                spec = specs[task.name]
                labels[task.name] = blank(spec, spec.dtype, rows, x)
                weights[task.name] = blank(spec, tf.float32, rows, x)
                continue
            label, valid = fill_missing(y[task.name], sentinels.get(task.name), usual)
            labels[task.name] = label
            weights[task.name] = merge_weights(tf.cast(valid, tf.float32), w, task)
        return x, labels, weights

    mask = tf.autograph.experimental.do_not_convert(mask)
    return dataset.map(mask, num_parallel_calls=tf.data.AUTOTUNE)


def _label_spec(task: Task) -> tf.TensorSpec:
    """What labels of a task look like that has none here."""
    if task.labels is None:
        raise ValueError(
            f"task {task.name!r} does not say what its labels look like, so none can be filled "
            "in; give it labels=Labels(...), or add zeros and zero weights with dataset.map."
        )
    return tf.TensorSpec(task.labels.shape, tf.int64 if task.labels.integer else tf.float32)


def fill_missing(label: Any, own: float | None, usual: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The label with 0 where it is missing, and where it is not.

    Args:
        label: A tensor, dense or ragged.
        own: What marks a missing label of this task, if it says so; beside NaN.
        usual: What marks a missing label of integers else.
    """
    if isinstance(label, tf.RaggedTensor):
        filled, valid = fill_missing(label.flat_values, own, usual)
        return (
            label.with_flat_values(filled).to_tensor(),
            label.with_flat_values(valid).to_tensor(False),
        )
    label = tf.convert_to_tensor(label)
    valid = tf.ones_like(label, tf.bool)
    if label.dtype.is_floating:
        valid = ~tf.math.is_nan(label)
        if own is not None:
            valid &= label != tf.cast(own, label.dtype)
    elif label.dtype.is_integer:
        sentinel = usual if own is None else own
        # Unsigned integers cannot hold a negative sentinel, so none of them is missing.
        if label.dtype.min <= sentinel <= label.dtype.max:
            valid = label != tf.cast(sentinel, label.dtype)
    return tf.where(valid, label, tf.zeros_like(label)), valid
