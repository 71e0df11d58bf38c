"""Missing labels, turned into zero weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, is_batched, read_element
from keras_mtl.data._elements._fill_missing import fill_missing
from keras_mtl.data._elements._make_blank import make_blank
from keras_mtl.data._elements._merge_weights import merge_weights
from keras_mtl.data._elements._numbers import read_number, read_whole


def mask_missing(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    sentinel: int | Mapping[str, float] = -1,
    absent: Sequence[str] = (),
) -> tf.data.Dataset:
    """Replaces missing labels by 0, and gives them weight 0.

    A label is missing where it is NaN (floats) or equal to `sentinel` (integers), where a row of
    ragged labels is shorter than the longest of its batch, and where the dataset has no label of
    a task that `absent` names. It becomes 0, and its weight 0, so that neither loss nor metrics
    see it (a NaN would survive a zero weight, since 0 * NaN is NaN: docs/keras_notes.md, F5). Use
    it before or after batching, with the same result. Where no label is missing it is not needed.

    To train with unlabeled examples too, mix a set that lacks labels with one that has them
    (`data.mixture`), or name tasks as `absent`.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)`, single examples or batches. `y` is a dict with
            exactly the names of the tasks. `w` is a dict with some of these names; its weights
            have the shape of the label or fewer axes. Labels may be ragged.
        tasks: The tasks that the labels belong to.
        sentinel: The value of a missing integer label; or, by task, the value of its missing
            labels, integers or floats (`{"no2": -200.0}`). Defaults to `-1`, also for integer
            labels of tasks that a dict does not name.
        absent: Names of tasks without any label in this dataset. They must be named so that a
            misspelt key is not taken for an absent task.

    Returns:
        A dataset of `(x, y, w)` of the same cardinality. `w` holds a float32 weight for each
        label: of shape `(batch,)` for one label per example, and of the shape of the labels for
        several (tokens, pixels, the columns of a task). Weights that the dataset has already are
        multiplied in; tasks without any have ones. Ragged labels become dense.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a task has no label, a label belongs to no task, or a weight belongs to no
            task; if `absent` or `sentinel` names no task; if a sentinel is no
            number; or if `absent` names a task whose
            `labels` are `None`, or labels of unknown length that no input tells.

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
    labeled = [task for task in tasks if task.name not in absent]
    element = read_element(dataset, labeled)
    check_keys(dict.fromkeys(absent), tasks, "name in absent", complete=False)
    named = sentinel if isinstance(sentinel, Mapping) else {}
    check_keys(named, labeled, "sentinel", complete=False)
    task_sentinels = {
        name: read_number(value, f"task {name!r}: the sentinel is") for name, value in named.items()
    }
    integer_sentinel = -1
    if not isinstance(sentinel, Mapping):
        integer_sentinel = read_whole(sentinel, "sentinel is", low=-(2**63))
    batched = bool(absent) and is_batched(element.inputs, element.labels, labeled)
    absent_specs = {task.name: _label_spec(task) for task in tasks if task.name in absent}

    def mask(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        rows = tf.shape(tf.nest.flatten(x)[0])[0] if batched else None
        labels, weights = {}, {}
        for task in tasks:
            name = task.name
            if name in absent_specs:
                spec = absent_specs[name]
                labels[name] = make_blank(spec, spec.dtype, rows, x)
                weights[name] = make_blank(spec, tf.float32, rows, x)
                continue
            label, valid = fill_missing(y[name], task_sentinels.get(name), integer_sentinel)
            labels[name] = label
            weights[name] = merge_weights(tf.cast(valid, tf.float32), w, task)
        return x, labels, weights

    # AutoGraph would rewrite the Python of `mask`, which needs none of it (docs/keras_notes.md,
    # pain 83).
    mask = tf.autograph.experimental.do_not_convert(mask)
    return dataset.map(mask, num_parallel_calls=tf.data.AUTOTUNE)


def _label_spec(task: Task) -> tf.TensorSpec:
    """Returns the spec of one example's labels of a task that has none in the dataset."""
    if task.labels is None:
        raise ValueError(
            f"task {task.name!r} does not say what its labels look like, so none can be filled "
            "in; give it labels=Labels(...), or add zeros and zero weights with dataset.map."
        )
    return tf.TensorSpec(task.labels.shape, tf.int64 if task.labels.integer else tf.float32)
