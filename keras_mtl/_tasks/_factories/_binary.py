"""Tasks with two classes."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._factories._chosen_loss import choose_loss
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
    ) -> Self:
        """Builds a task with two classes, 0 or 1: output `(batch, 1)` is the probability of 1.

        With the probability p and the label y, the loss is binary cross-entropy, computed from
        the logits:

            -(y log p + (1 - y) log(1 - p))

        Choose it for one yes-or-no question. For several questions about one example whose labels
        may be missing separately, `multilabel` computes them together.

        Args:
            name: Name of the task.
            loss: Another loss: `"focal"`, a name of Keras, or a loss as `Task` takes it. Defaults
                to the one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("auc",)`, which is
                within .002 of scikit-learn's also for one positive in a thousand
                (`keras_mtl.metrics.AUC` says what it costs).
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` with labels 0 and 1 of shape `(batch,)` or `(batch, 1)`.

        Example:
            >>> from keras_mtl import Task
            >>> Task.binary("click").metric_names
            ('auc',)
        """
        head, labels = Head(1, "sigmoid"), Labels(low=0, high=1)
        loss = choose_loss(loss, keras.losses.BinaryCrossentropy(), FOCAL)
        return cls(name, head=head, loss=loss, metrics=metrics, weight=weight, labels=labels)
