"""Tasks with real values."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels


class RegressionFactory(BaseTask):
    """Adds `Task.regression`."""

    @classmethod
    def regression(
        cls,
        name: str,
        units: int = 1,
        *,
        loss: Any = None,
        metrics: Sequence[Any] = ("mae",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with real values: output `(batch, units)`.

        With the prediction p and the label y, the loss of each value is the squared error:

            (y - p)^2

        Choose it for values of any sign. Bring targets of different units to one scale first, or
        the loss of the largest dominates. For counts, use `count`.

        Args:
            name: Name of the task.
            units: The number of values per example. Defaults to `1`.
            loss: Another loss, by name or as the constructor of `Task` takes it. Defaults to the
                one above.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("mae",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are `(batch,)` for one unit, and `(batch, units)` for several
            units, each of which may be missing by itself.

        Example:
            >>> from keras_mtl import Task
            >>> Task.regression("age").loss.name
            'mean_squared_error'
        """
        labels = Labels(() if units == 1 else (units,))
        loss = keras.losses.MeanSquaredError() if loss is None else loss
        return cls(name, head=Head(units), loss=loss, metrics=metrics, weight=weight, labels=labels)
