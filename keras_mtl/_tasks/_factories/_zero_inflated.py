"""Tasks with amounts that are 0 for many examples."""

from collections.abc import Sequence
from typing import Any, Self

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._kinds._zero_inflated import ZeroInflatedHead, ZeroInflatedLogNormal
from keras_mtl._tasks._labels import Labels


class ZeroInflatedFactory(BaseTask):
    """Adds `Task.zero_inflated`."""

    @classmethod
    def zero_inflated(
        cls,
        name: str,
        *,
        metrics: Sequence[Any] = ("mae",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with an amount that is 0 for many examples: output `(batch, 1)`, its mean.

        The head has three numbers: the logit of the probability p that there is an amount, the
        mean m and the spread s of its logarithm. The loss is the negative log-likelihood

            y = 0:  -log(1 - p)
            y > 0:  -log p + log y + log s + log(2 pi) / 2 + (log y - m)^2 / (2 s^2)

        and the output is the mean p exp(m + s^2 / 2).

        Choose it for money and durations that are exactly 0 for many and have a long tail for the
        others: what a customer spends, claims, minutes watched. The squared error of `regression`
        follows the few largest labels there. For counts, use `count`; for amounts that are never 0,
        `regression(scale="log")`. The mean of a log-normal distribution reacts to the spread: on
        few labels it can be far too large, and the order of examples (`"spearman"`) is better
        than the sum of predictions.

        Args:
            name: Name of the task.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("mae",)`.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are numbers of at least 0, of shape `(batch,)` or `(batch, 1)`.

        Example:
            >>> from keras_mtl import Task
            >>> Task.zero_inflated("spent").head.num_logits
            3

        Reference:
            Wang, Liu and Miao, "A Deep Probabilistic Model for Customer Lifetime Value Prediction"
            (arXiv:1912.07753). Their code keeps the spread above the root of the machine epsilon;
            here it is kept above 0.001.
        """
        return cls(
            name,
            head=ZeroInflatedHead(),
            loss=ZeroInflatedLogNormal(),
            metrics=metrics,
            weight=weight,
            labels=Labels(low=0),
        )
