"""Tasks with real values."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._scale import Scale, read_scale


class RegressionFactory(BaseTask):
    """Adds `Task.regression`."""

    @classmethod
    def regression(
        cls,
        name: str,
        units: int | None = None,
        *,
        scale: Scale | str | None = None,
        columns: Sequence[str] | None = None,
        loss: Any = None,
        metrics: Sequence[Any] = ("mae",),
        weight: float = 1.0,
        log_columns: Sequence[str] = (),
    ) -> Self:
        """Builds a task with real values: output `(batch, units)`.

        With the prediction p and the label y, the loss of each value is the squared error:

            (y - p)^2

        Choose it for values of any sign; for counts, use `count`. With labels far from 0 and 1,
        take a `scale`: a network begins with predictions near 0, and the loss of the largest unit
        dominates the other tasks. With the scale's center c and spread s, and the number z that
        the network computes, the loss is then that of scaled labels, while the output, and so
        what is served and what metrics see, is in the unit of the labels:

            p = c + s z,   ((y - c) / s - z)^2

        Args:
            name: Name of the task.
            units: The number of values per example. Defaults to the number of columns, or `1`.
            scale: `"standard"`, `"robust"`, `"minmax"`, `"log"` or `"log1p"`, or a
                `keras_mtl.Scale`; each unit or column has numbers of its own. `data.fit_scales`
                fits it to training data before the network is built. Defaults to `None`: labels
                as they are.
            columns: Names of the values, where each is a task of its own. Defaults to `None`.
            loss: Another loss, by name or as the constructor of `Task` takes it; it compares
                scaled numbers if there is a scale. Defaults to the one above.
            metrics: Names or `keras.metrics.Metric` objects, in the unit of the labels. Defaults
                to `("mae",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.
            log_columns: Columns whose own metrics are logged. Defaults to none of them.

        Returns:
            A `Task` whose labels are `(batch,)` for one unit, and `(batch, units)` for several
            units, or for columns; each of these may be missing by itself.

        Raises:
            ValueError: If `units` does not fit the columns, the scale is unknown, or the loss
                reads labels in their own unit (Poisson, relative and logarithmic errors).

        Example:
            >>> from keras_mtl import Task
            >>> task = Task.regression("price", scale="log")
            >>> task.fit_scale([1.0, 100.0]).scale.center  # of log 1 and log 100
            (2.302585092994046,)
        """
        size = len(columns) if columns is not None else 1 if units is None else units
        if units not in (None, size):
            raise ValueError(f"task {name!r}: units={units} does not fit {size} column(s).")
        return cls(
            name,
            head=Head(size),
            loss=keras.losses.MeanSquaredError() if loss is None else loss,
            metrics=metrics,
            weight=weight,
            columns=columns,
            labels=Labels(() if size == 1 and columns is None else (size,)),
            log_columns=log_columns,
            scale=read_scale(name, scale),
        )
