"""Tasks whose classes have an order."""

from collections.abc import Sequence
from typing import Any, Self, get_args

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._kinds._ordinal import Method, OrdinalCrossentropy, OrdinalHead
from keras_mtl._tasks._labels import Labels


class OrdinalFactory(BaseTask):
    """Adds `Task.ordinal`."""

    @classmethod
    def ordinal(
        cls,
        name: str,
        num_classes: int,
        *,
        method: Method = "coral",
        metrics: Sequence[Any] = ("rank_mae",),
        weight: float = 1.0,
    ) -> Self:
        """Builds a task with one of `num_classes` classes in an order: stars, grades, stages.

        The output `(batch, ..., num_classes)` is a distribution over the classes, as that of
        `multiclass`. With K classes and the logits z_1 ... z_(K-1), of which z_k asks whether the
        class is at least k:

            coral: z_k = s + b_k with falling b_k,  P(y >= k) = sigmoid(z_k)
            corn:  P(y >= k | y >= k - 1) = sigmoid(z_k)

        and the loss is the sum of the binary cross-entropies of these questions: of all of them
        for `"coral"`, and for `"corn"` of those whose condition holds, which is the same number as
        -log P(y).

        Choose it where a confusion with a class far away is worse than one with a neighbor.
        `"coral"` has one score per example, with fewer variables, and suits few labels; `"corn"`
        can also learn that some step of the order depends on other features. Where the distance
        between classes is known and equal, `regression` is plainer; where there is no order, use
        `multiclass`. On the fifths of a progression of diabetes (300 training rows, four seeds,
        `benchmarks/regimes_kinds.py`) the mean distance is .85 for `multiclass`, .83 for
        `"coral"`, .84 for `"corn"` and .79 for a regression on the class numbers, with standard
        deviations of .02 to .05: no kind is better there beyond chance.

        The class to decide for is the median: the number of k with P(y >= k) > 1/2. The metrics
        `"rank_mae"` and `"kappa"` judge that class; `"accuracy"` and the other metrics of classes
        judge the most probable one.

        Args:
            name: Name of the task.
            num_classes: The number of classes, at least 3; for two, use `binary`.
            method: `"coral"` or `"corn"`. Defaults to `"coral"`.
            metrics: Names or `keras.metrics.Metric` objects. Defaults to `("rank_mae",)`, the mean
                distance of the class from the label.
            weight: Multiplies the task's loss. Defaults to `1.0`.

        Returns:
            A `Task` whose labels are integers `(batch,)` from 0 to `num_classes - 1`.

        Raises:
            ValueError: If there are fewer than three classes, or the method is unknown.

        Example:
            >>> from keras_mtl import Task
            >>> task = Task.ordinal("stars", 5)
            >>> task.head.units, task.head.num_logits
            (5, 1)

        Reference:
            Cao, Mirjalili and Raschka, "Rank consistent ordinal regression" (CORAL,
            arXiv:1901.07884). There the b_k are free and fall at the optimum; here they fall by
            construction, so that no class ever has a negative probability. Shi, Cao and Raschka,
            "Deep neural networks for rank-consistent ordinal regression" (CORN, arXiv:2111.08851).
            There the sum is divided by the number of conditions that hold in the batch; here by
            that of labels, as every loss of this package.
        """
        if num_classes < 3:
            raise ValueError(
                f"task {name!r}: an order has at least three classes, not {num_classes}; use "
                "Task.binary for two."
            )
        if method not in get_args(Method):
            raise ValueError(
                f"task {name!r}: method is one of {list(get_args(Method))}; received {method!r}."
            )
        # With the logarithms of the probabilities as logits, this is the loss of CORN.
        corn = keras.losses.SparseCategoricalCrossentropy()
        return cls(
            name,
            head=OrdinalHead(num_classes, method=method),
            loss=corn if method == "corn" else OrdinalCrossentropy(num_classes),
            metrics=metrics,
            weight=weight,
            labels=Labels(integer=True, low=0, high=num_classes - 1),
        )
