"""The part that tasks with one of several classes share, whatever has the class."""

from collections.abc import Sequence
from typing import Any, TypeVar

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels

AnyTask = TypeVar("AnyTask", bound=BaseTask)


def class_task(
    task_class: type[AnyTask],
    name: str,
    num_classes: int,
    *,
    label_shape: tuple[int | None, ...],
    metrics: Sequence[Any],
    weight: float,
) -> AnyTask:
    """Builds a task whose labels are class numbers, at every position of `label_shape`.

    Args:
        task_class: The class to build: `Task`, or a subclass of it.
        name: Name of the task.
        num_classes: The number of classes; labels are 0 to `num_classes - 1`.
        label_shape: Shape of one example's labels: `()` for one per example, `(None,)` for one
            per token, `(None, None)` for one per pixel.
        metrics: Names or metrics.
        weight: Multiplies the task's loss.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    if num_classes < 2:
        raise ValueError(f"task {name!r}: num_classes must be at least 2, not {num_classes}.")
    loss = keras.losses.SparseCategoricalCrossentropy()
    labels = Labels(label_shape, integer=True, low=0, high=num_classes - 1)
    head = Head(num_classes, "softmax")
    return task_class(name, head=head, loss=loss, metrics=metrics, weight=weight, labels=labels)
