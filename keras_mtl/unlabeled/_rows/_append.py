"""Changed rows behind the rows of a batch, with labels for one more task."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import read_element
from keras_mtl.data._mask_missing import mask_missing


def masked(dataset: Any, tasks: Sequence[Task], name: str) -> tf.data.Dataset:
    """Returns batches of `(x, y, w)` with the labels of all tasks but the new one.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`.
        tasks: The tasks that have labels in it.
        name: The name of the task that is added.

    Raises:
        TypeError: If it is no dataset of labels by task.
        ValueError: If a task is called so already.
    """
    tasks = check_tasks(tasks)
    if name in {task.name for task in tasks}:
        raise ValueError(
            f"the dataset gets labels for a new task {name!r}, and tasks has one of that name: "
            "pass the tasks that have labels already, or another name."
        )
    read_element(dataset, tasks)
    return mask_missing(dataset, tasks)


def append(element: Any, changed: Any, name: str, label: Any, weight: Any) -> Any:
    """Returns a batch with changed rows behind its own.

    Args:
        element: `(x, y, w)`.
        changed: The changed inputs; their labels of the other tasks weigh 0.
        name: The new task.
        label: Its labels for all rows, the changed ones behind.
        weight: The weights of these.
    """
    x, y, w = element
    labels: Mapping[str, Any] = {task: tf.concat([value, value], 0) for task, value in y.items()}
    weights = {task: tf.concat([value, tf.zeros_like(value)], 0) for task, value in w.items()}
    inputs = keras.tree.map_structure(lambda a, b: tf.concat([a, b], 0), x, changed)
    return inputs, {**labels, name: label}, {**weights, name: weight}


def input_of(inputs: Any, on: str | None, what: str) -> Any:
    """Returns the input that is changed.

    Raises:
        ValueError: If inputs are a dict, and none of them, or an unknown one, is named.
    """
    if isinstance(inputs, Mapping):
        if on not in inputs:
            raise ValueError(
                f"{what}: on must name one of the inputs {sorted(inputs)}; it is {on!r}."
            )
        return inputs[on]
    if on is not None or not (isinstance(inputs, tf.Tensor | tf.TensorSpec)):
        raise ValueError(
            f"{what}: on={on!r} needs inputs as a dict by name, and without it there must be one "
            "input."
        )
    return inputs


def replace(inputs: Any, on: str | None, value: Any) -> Any:
    """Returns inputs with one of them replaced."""
    return value if on is None else {**inputs, on: value}
