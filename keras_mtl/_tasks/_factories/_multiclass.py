"""Tasks with one of several classes per example."""

from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._factories._class_task import class_task


class MulticlassFactory(BaseTask):
    """Adds `Task.multiclass`."""

    @classmethod
    def multiclass(
        cls,
        name: str,
        num_classes: int,
        *,
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with one of `num_classes` classes per example.

        The output `(batch, num_classes)` is a distribution: it sums to 1. With the probabilities
        p and the label y, the loss is categorical cross-entropy, computed from the logits:

            -log p[y]

        Choose it where exactly one class is right. Where several may be right at once, use
        `multilabel`; for a class per token or per pixel, use `tagging` or `segmentation`.

        Args:
            name: Name of the task.
            num_classes: The number of classes, at least 2.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("accuracy",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are integers `(batch,)` from 0 to `num_classes - 1`.

        Raises:
            ValueError: If there are fewer than two classes.

        Example:
            >>> from keras_mtl import Task
            >>> Task.multiclass("topic", 4).head.units
            4
        """
        return class_task(cls, name, num_classes, label_shape=(), metrics=metrics, weight=weight)
