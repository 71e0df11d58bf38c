"""Means for each task, in one metric."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskMeans(keras.metrics.Metric):
    """Keeps one weighted mean a task and reports them under the tasks' own names.

    One variable for all tasks: a `keras.metrics.Mean` each would cost two assignments a task
    in every step.

    Args:
        names: What each mean is called in the logs.
        name: Name of the metric.
    """

    def __init__(self, names: Sequence[str], name: str) -> None:
        super().__init__(name=name)
        self.names = list(names)
        # The rows are the sum and the count.
        self.sums = self.add_variable((2, len(self.names)), "zeros", name="sums")

    def update_state(self, values: Tensor, counts: Tensor) -> None:
        """Adds values `[K]` that stand for `counts` `[K]` labels or steps each.

        A value that is not finite adds nothing.
        """
        counts = ops.where(ops.isfinite(values), ops.cast(counts, "float32"), 0.0)
        values = ops.where(counts > 0.0, values, 0.0)
        self.sums.assign_add(ops.stack([values * counts, counts]))

    def result(self) -> dict[str, Tensor]:
        """The mean of each name; 0 where nothing was added."""
        means = ops.divide_no_nan(self.sums[0], self.sums[1])
        return {name: means[k] for k, name in enumerate(self.names)}
