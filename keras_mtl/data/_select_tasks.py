"""The labels of some tasks out of a dataset that has more."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import split_element


def select_tasks(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Keeps the labels and weights of the given tasks, and drops those of others.

    Choose it to train a single-task baseline, or a part of the tasks, on the data of all.

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
    _, labels, _ = split_element(dataset)
    missing = [name for name in names if name not in labels]
    if missing:
        raise ValueError(
            f"the dataset has no label for the task(s) {missing}; its labels are {sorted(labels)}."
        )

    def select(x: Any, y: dict[str, Any], *weights: dict[str, Any]) -> Any:
        kept = [{name: each[name] for name in names if name in each} for each in (y, *weights)]
        return (x, *kept)

    return dataset.map(select)
