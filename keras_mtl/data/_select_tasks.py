"""The labels of some tasks, taken from a dataset that has more."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import read_specs


def select_tasks(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Keeps the labels and weights of some tasks, and drops those of all others.

    Choose it to train a single-task baseline, or some of the tasks, on the data of all.

    Args:
        dataset: Yields `(x, y)` or `(x, y, w)` with dicts by task, batched or not.
        tasks: The tasks to keep.

    Returns:
        A dataset of the same structure and cardinality.

    Raises:
        TypeError: If the dataset has another structure.
        ValueError: If it has no label for one of the tasks; the message names it.

    Example:
        >>> y = {"click": [0, 1], "price": [1.0, 2.0]}
        >>> both = tf.data.Dataset.from_tensor_slices(([[1.0], [2.0]], y)).batch(2)
        >>> _, labels = next(iter(select_tasks(both, [Task.regression("price")])))
        >>> list(labels)
        ['price']
    """
    names = [task.name for task in check_tasks(tasks)]
    labels = read_specs(dataset).labels
    missing = [name for name in names if name not in labels]
    if missing:
        raise ValueError(
            f"the dataset has no label for the task(s) {missing}; its labels are {sorted(labels)}."
        )

    def select(x: Any, y: dict[str, Any], *weights: dict[str, Any]) -> Any:
        kept = [
            {name: entries[name] for name in names if name in entries} for entries in (y, *weights)
        ]
        return (x, *kept)

    return dataset.map(select)
