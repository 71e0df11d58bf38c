"""Means for each task, in one metric."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskMeans(keras.metrics.Metric):
    """Keeps the mean loss and the mean weight of each task, under the tasks' own names.

    One variable for all of them: a `keras.metrics.Mean` each would cost two assignments a task
    in every step.

    Args:
        tasks: Names of the tasks.
        name: Name of the metric.
    """

    def __init__(self, tasks: Sequence[str], name: str = "task_means") -> None:
        super().__init__(name=name)
        self.tasks = list(tasks)
        # The rows are the sum of losses, of labels, of weights and of steps.
        self.sums = self.add_variable((4, len(self.tasks)), "zeros", name="sums")

    def update_state(
        self, losses: Tensor, labels: Tensor, weights: Tensor, took_part: Tensor
    ) -> None:
        """Adds a batch; a loss that is not finite adds nothing.

        Args:
            losses: Mean losses `[K]` of the batch.
            labels: The numbers `[K]` of labels that they are means of.
            weights: Task weights `[K]`; zeros in evaluation.
            took_part: Which tasks the weights were for, bool `[K]`.
        """
        labels = ops.where(ops.isfinite(losses), labels, 0.0)
        losses = ops.where(labels > 0.0, losses * labels, 0.0)
        steps = ops.cast(took_part, "float32")
        self.sums.assign_add(ops.stack([losses, labels, weights * steps, steps]))

    def result(self) -> dict[str, Tensor]:
        """The means; 0 where nothing was added."""
        sums, counts = self.sums[0::2], self.sums[1::2]
        losses, weights = ops.unstack(ops.divide_no_nan(sums, counts), axis=0)
        means: dict[str, Tensor] = {}
        for name, loss, weight in zip(
            self.tasks, ops.unstack(losses), ops.unstack(weights), strict=True
        ):
            # Under plain Keras the mean over labels has the second name.
            means |= {f"{name}_loss": loss, f"{name}_mean_loss": loss, f"{name}_weight": weight}
        return means
