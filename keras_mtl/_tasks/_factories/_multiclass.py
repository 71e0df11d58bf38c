"""Tasks with one of several classes per example."""

from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._class_balanced_loss import DEFAULT_BETA
from keras_mtl._tasks._factories._chosen_loss import Balance, ClassCounts
from keras_mtl._tasks._factories._class_task import Encoding, class_settings


class MulticlassFactory(BaseTask):
    """Adds `Task.multiclass`."""

    @classmethod
    def multiclass(
        cls,
        name: str,
        num_classes: int,
        *,
        labels: Encoding = "integer",
        loss: Any = None,
        metrics: Sequence[Any] = ("accuracy",),
        weight: float = 1.0,
        class_counts: ClassCounts | None = None,
        beta: float = DEFAULT_BETA,
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
            labels: `"integer"` for class numbers, or `"one_hot"` for rows with a 1 for the class,
                or with probabilities that sum to 1 (soft labels). Defaults to `"integer"`.
            loss: Another loss: `"focal"`, `"class_balanced"` or `"class_balanced_focal"` (each
                label weighs by the class that it has), a name of Keras, or a loss as `Task` takes
                it. Defaults to the one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("accuracy",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.
            class_counts: With these two losses, the number of training examples of each class: a
                sequence, or a dict such as `data.describe(dataset, tasks)[name].classes`.
            beta: With these two losses, how fast further examples of a class lose their value, in
                [0, 1): 0 weighs all classes alike, near 1 a class weighs 1 over its count.
                Defaults to `0.999`.

        Returns:
            A `Task` whose labels are integers `(batch,)` from 0 to `num_classes - 1`, or rows
            `(batch, num_classes)`; a row with a NaN is a missing label.

        Raises:
            ValueError: If there are fewer than two classes, `labels` is unknown, or a loss that
                balances classes has no counts, or counts are in vain.

        Example:
            >>> from keras_mtl import Task
            >>> Task.multiclass("topic", 4).head.units
            4
        """
        balance = Balance(num_classes, class_counts, beta)
        settings = class_settings(name, balance, label_shape=(), labels=labels, loss=loss)
        return cls(name, metrics=metrics, weight=weight, **settings)
