"""Tasks with the time until an event, which may not have come yet."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._kinds._cox import CoxPartialLikelihood, Ties
from keras_mtl._tasks._kinds._hazards import HazardLikelihood, SurvivalHead
from keras_mtl._tasks._labels import Labels


class SurvivalFactory(BaseTask):
    """Adds `Task.survival`."""

    @classmethod
    def survival(
        cls,
        name: str,
        bins: Sequence[float],
        *,
        method: Literal["hazards", "cox"] = "hazards",
        ties: Ties = "efron",
        metrics: Sequence[Any] = ("concordance",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with the time until an event, seen or not: relapse, churn, failure.

        A label is a row of a time and of what happened then: 1 for the event, 0 for the end of the
        observation. By `"hazards"`, the output `(batch, bins)` is the survival curve: with the
        hazard h_j = sigmoid(z_j) of bin j, the probability to survive the bins up to j is

            S_j = (1 - h_1) ... (1 - h_j)

        and the loss of an example that has survived n bins is

            -log(1 - h_1) - ... - log(1 - h_n)  [ - log h_(n + 1)  if its event came then ]

        By `"cox"`, the output `(batch, 1)` is the score s, the logarithm of a hazard ratio, and the
        loss is that of Cox's partial likelihood over the global batch,

            mean over events of log(sum_(j still observed) exp(s_j)) - s_i

        Choose it wherever some examples have not had their event yet: a regression on times would
        leave them out, or take the end of the observation for the event. Choose `"hazards"` first:
        each example has a loss of its own, so that sample weights, small batches and replicas
        are all right, and its curve is a probability for every horizon. Choose `"cox"` to compare
        with Cox models, or where only the order counts; sample weights must be 0 or equal there,
        and batches large enough to hold several events. Ten to thirty bins are enough, with ends at
        quantiles of the times of events.

        Args:
            name: Name of the task.
            bins: The ends of the bins of time, ascending and above 0. An event later than the last
                is one that has not come. `"cox"` reads times as they are; its metric reads bins.
            method: `"hazards"` or `"cox"`. Defaults to `"hazards"`.
            ties: For `"cox"`, how events at one time count: `"efron"` or `"breslow"`. Defaults to
                `"efron"`.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("concordance",)`: the
                share of pairs of which the one with the earlier event has the worse curve.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are floats `(batch, 2)`: a time of at least 0, and 0 or 1. A row
            with a NaN is a missing label.

        Raises:
            ValueError: If bins do not ascend above 0, or the method or the ties are unknown.

        Example:
            >>> from keras_mtl import Task
            >>> task = Task.survival("relapse", [30.0, 90.0, 365.0])
            >>> task.head.units, task.labels.shape
            (3, (2,))

        Reference:
            Gensheimer and Narasimhan, "A scalable discrete-time survival model for neural
            networks" (arXiv:1805.00917). There an observation that ends in the second half of a
            bin has survived it; here, one that ends at its end or later. Cox, "Regression Models
            and Life-Tables", J. R. Stat. Soc. B 34, 1972.
        """
        ends = tuple(float(end) for end in bins)
        ascending = all(low < high for low, high in itertools.pairwise((0.0, *ends)))
        if not ends or not ascending or not all(map(math.isfinite, ends)):
            raise ValueError(
                f"task {name!r}: bins are the ends of bins of time, ascending and above 0; "
                f"received {list(bins)}."
            )
        if method not in ("hazards", "cox"):
            raise ValueError(f"task {name!r}: method is 'hazards' or 'cox'; received {method!r}.")
        try:
            cox = CoxPartialLikelihood(ends, ties)
        except ValueError as error:
            raise ValueError(f"task {name!r}: {error}.") from error
        return cls(
            name,
            head=Head(1) if method == "cox" else SurvivalHead(len(ends)),
            loss=cox if method == "cox" else HazardLikelihood(ends),
            metrics=metrics,
            weight=weight,
            labels=Labels((2,), low=0, time_to_event=True),
        )
