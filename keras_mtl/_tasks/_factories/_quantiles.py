"""Tasks that predict quantiles of a real value."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._kinds._quantiles import Pinball, QuantileHead
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._scale import Scale, read_scale


class QuantilesFactory(BaseTask):
    """Adds `Task.quantiles`."""

    @classmethod
    def quantiles(
        cls,
        name: str,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        scale: Scale | str | None = None,
        metrics: Sequence[Any] = ("pinball", "coverage_error"),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with quantiles of a real value: output `(batch, levels)`, ascending.

        With the label y, the quantile q of the level t, and e = y - q, the loss is the mean over
        the levels of the pinball loss

            max(t e, (t - 1) e)

        Quantiles cannot cross: the first is any number, each further one adds a positive step.

        Choose it where one number is not enough: a delivery date that holds in nine of ten cases,
        a stock that lasts, an interval around a price. For the mean alone, use `regression`. A
        level near 0 or 1 needs many labels: with n of them, levels below 10 / n are mostly chance.
        How far the shares of labels below the quantiles are from the levels on new data is the
        metric `"coverage_error"`: a network that has learned its training data by heart has
        intervals that are too narrow. On 300 rows of a progression of diabetes (four seeds,
        `benchmarks/regimes_kinds.py`) the interval from .1 to .9 holds .67 of new labels, and one
        of a regression and the quantiles of its training residuals .69; the pinball losses, 14.2
        both, are the same: there, quantiles are of no use yet.

        Args:
            name: Name of the task.
            levels: Levels of the quantiles in (0, 1), ascending. Defaults to `(0.1, 0.5, 0.9)`.
            scale: The unit in which the network learns, as in `regression`; quantiles of scaled
                labels are scaled quantiles, those of logarithms too. Defaults to `None`: labels
                as they are.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to
                `("pinball", "coverage_error")`, in the unit of the labels.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are numbers `(batch,)` or `(batch, 1)`.

        Raises:
            ValueError: If there are no levels, or they do not ascend between 0 and 1.

        Example:
            >>> from keras_mtl import Task
            >>> Task.quantiles("minutes", [0.5, 0.9]).head.units
            2

        Reference:
            Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.
        """
        levels = tuple(float(level) for level in levels)
        ascending = all(low < high for low, high in itertools.pairwise((0.0, *levels, 1.0)))
        if not levels or not ascending:
            raise ValueError(
                f"task {name!r}: levels of quantiles ascend, and lie above 0 and below 1; received "
                f"{list(levels)}."
            )
        return cls(
            name,
            head=QuantileHead(len(levels)),
            loss=Pinball(levels),
            metrics=metrics,
            weight=weight,
            labels=Labels(),
            scale=read_scale(name, scale),
        )
