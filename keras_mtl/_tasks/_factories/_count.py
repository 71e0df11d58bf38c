"""Tasks with counts."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels


class CountFactory(BaseTask):
    """Adds `Task.count`."""

    @classmethod
    def count(
        cls,
        name: str,
        *,
        loss: Any = None,
        metrics: Sequence[Any] = ("mae",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with counts 0, 1, 2, ...: output `(batch, 1)` is a rate.

        The rate r, the exponential of the logit, is the mean of a Poisson distribution. With the
        label y, the loss is its negative log-likelihood without the terms that do not depend on r
        (Keras adds `keras.config.epsilon()` to r inside the logarithm):

            r - y log r

        Choose it for numbers of events, whose spread grows with their mean. It is not the right
        choice for real values, or for counts whose variance is much larger than their mean.

        Args:
            name: Name of the task.
            loss: Another loss, by name or as the constructor of `Task` takes it. Defaults to the
                one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("mae",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are numbers of at least 0, of shape `(batch,)` or `(batch, 1)`.

        Example:
            >>> from keras_mtl import Task
            >>> Task.count("rentals").head.activation
            'exponential'
        """
        return cls(
            name,
            head=Head(1, "exponential"),
            loss=keras.losses.Poisson() if loss is None else loss,
            metrics=metrics,
            weight=weight,
            labels=Labels(low=0),
        )
