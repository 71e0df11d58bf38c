"""Batches of labeled rows, as users pass them, with weight 0 for missing labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.data import mask_missing
from keras_mtl.data._check_dataset import check_values
from keras_mtl.training._data_checks._streams import make_stream

# No integer is this small: integer labels of -1 may be what a hinge loss reads.
_NO_SENTINEL = -(2**63)


class Rows(NamedTuple):
    """Holds a batch: inputs, and labels and weights by task; one weight for each label."""

    x: Any
    labels: dict[str, Tensor]
    weights: dict[str, Tensor]


def read_rows(dataset: Any, tasks: Sequence[Task], batch_size: int = 1024) -> Iterator[Rows]:
    """Yields the batches of labeled data.

    Labels that are NaN get weight 0, and labels of other tasks are left out.

    Args:
        dataset: A batched, finite `tf.data.Dataset` or a `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, w)`, or a tuple of arrays. `y` and `w` are dicts by task.
        tasks: The tasks.
        batch_size: The rows per batch, of arrays.

    Raises:
        TypeError: If data, labels or weights are of another kind.
        ValueError: If there is no row, or no end of them; a task has no label, or labels do not fit
            their task. The message names the task.
    """
    batches = _to_dataset(dataset, batch_size)
    if batches.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    masked = mask_missing(_of_tasks(batches, tasks), tasks, sentinel=_NO_SENTINEL)
    is_empty = True
    for x, labels, weights in masked:
        if not min(int(label.shape[0]) for label in labels.values()):
            continue
        check_values(tasks, labels, weights)
        is_empty = False
        yield Rows(x, labels, weights)
    if is_empty:
        raise ValueError("there are no rows; expected at least one.")


def _to_dataset(data: Any, batch_size: int) -> tf.data.Dataset:
    if isinstance(data, tf.data.Dataset):
        return data
    if isinstance(data, keras.utils.PyDataset):
        return make_stream(data, lambda batch: None, lambda error: None)[1]
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        present = tuple(part for part in data if part is not None)
        return tf.data.Dataset.from_tensor_slices(present).batch(batch_size)
    raise TypeError(
        "expected a tf.data.Dataset, a keras.utils.PyDataset or a tuple of arrays, (x, y) or "
        f"(x, y, w); received {type(data).__name__}."
    )


def _of_tasks(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Leaves out the labels and weights of other tasks."""
    names = {task.name for task in tasks}

    def choose(x: Any, *labels_and_weights: Any) -> Any:
        parts = []
        for part in labels_and_weights:
            is_dict = isinstance(part, Mapping)
            parts.append({name: part[name] for name in part if name in names} if is_dict else part)
        return (x, *parts)

    spec = dataset.element_spec
    if not isinstance(spec, tuple) or not isinstance(spec[1], Mapping):
        return dataset  # `mask_missing` says what is wrong with it
    return dataset.map(tf.autograph.experimental.do_not_convert(choose))


def has_label(rows: Rows, names: Sequence[str]) -> Tensor:
    """Returns which rows have a label of one of the tasks, bool `(batch,)`."""
    labeled = [
        tf.reduce_any(tf.reshape(rows.weights[name] != 0, (len(rows.weights[name]), -1)), axis=1)
        for name in names
    ]
    return tf.reduce_any(tf.stack(labeled), axis=0)
