"""Tasks with two classes."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._class_balanced_loss import DEFAULT_BETA
from keras_mtl._tasks._factories._chosen_loss import Balance, ClassCounts, choose_loss
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels

FOCAL = keras.losses.BinaryFocalCrossentropy()
"""Keras's, without weights of the classes: `-(1 - p)^2 log p` for a positive example."""


class BinaryFactory(BaseTask):
    """Adds `Task.binary`."""

    @classmethod
    def binary(
        cls,
        name: str,
        *,
        loss: Any = None,
        metrics: Sequence[Any] = ("auc",),
        weight: float = 1.0,
        class_counts: ClassCounts | None = None,
        beta: float = DEFAULT_BETA,
        threshold: float | None = None,
    ) -> Self:
        """Builds a task with two classes, 0 or 1: output `(batch, 1)` is the probability of 1.

        With the probability p and the label y, the loss is binary cross-entropy, computed from
        the logits:

            -(y log p + (1 - y) log(1 - p))

        Choose it for one yes-or-no question. For several questions about one example whose labels
        may be missing separately, `multilabel` computes them together.

        Args:
            name: Name of the task.
            loss: Another loss: `"focal"`, `"class_balanced"` or `"class_balanced_focal"` (each
                label weighs by the class that it has), a name of Keras, or a loss as `Task` takes
                it. Defaults to the one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("auc",)`, which is
                within .002 of scikit-learn's also for one positive in a thousand
                (`keras_mtl.metrics.AUC` says what it costs).
            weight: Multiplies the task's loss. Defaults to `1.0`.
            class_counts: With these two losses, the number of training examples of each class: a
                sequence, or a dict such as `data.describe(dataset, tasks)[name].classes`.
            beta: With these two losses, how fast further examples of a class lose their value, in
                [0, 1): 0 weighs all classes alike, near 1 a class weighs 1 over its count.
                Defaults to `0.999`.
            threshold: The probability above which metrics that cut, and served decisions, say yes.
                `export.choose_thresholds` chooses it. Defaults to `None`: 0.5, and no decision is
                served.

        Returns:
            A `Task` with labels 0 and 1 of shape `(batch,)` or `(batch, 1)`.

        Raises:
            ValueError: If a loss that balances classes has no counts, or counts are in vain.

        Example:
            >>> from keras_mtl import Task
            >>> Task.binary("click").metric_names
            ('auc',)
        """
        head, labels = Head(1, "sigmoid"), Labels(low=0, high=1)
        balance = Balance(2, class_counts, beta)
        loss = choose_loss(name, loss, keras.losses.BinaryCrossentropy(), FOCAL, balance)
        return cls(
            name,
            head=head,
            loss=loss,
            metrics=metrics,
            weight=weight,
            labels=labels,
            threshold=threshold,
        )
