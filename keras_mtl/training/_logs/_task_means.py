"""The means of each task, in one metric."""

from collections.abc import Mapping

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskMeans(keras.metrics.Metric):
    """Keeps the mean loss and the mean weight of each task, under the tasks' own names.

    Losses are averaged over labels. (Keras's own `<output>_loss` averages batches, so that a short
    last batch counts too much: docs/keras_notes.md, F7.) One variable holds all means: separate
    `keras.metrics.Mean`s would cost two assignments per task in every step.

    For a task with columns, the mean is over columns that have labels, and the logs hold the worst
    and the best loss of a column too.

    Args:
        tasks: The number of losses of each task, by name.
        name: Name of the metric.
    """

    def __init__(self, tasks: Mapping[str, int], name: str = "task_means") -> None:
        super().__init__(name=name)
        self.sizes = dict(tasks)
        # [4, K]: the sums of losses, of labels, of weights and of steps.
        self.sums = self.add_variable((4, sum(self.sizes.values())), "zeros", name="sums")

    def update_state(
        self, losses: Tensor, labels: Tensor, weights: Tensor, took_part: Tensor
    ) -> None:
        """Adds a batch; a loss that is not finite adds nothing.

        Args:
            losses: Mean losses `[K]` of the batch.
            labels: The numbers `[K]` of labels that they are means of.
            weights: Task weights `[K]`; zeros in evaluation.
            took_part: Which tasks took part in the step, bool `[K]`.
        """
        labels = ops.where(ops.isfinite(losses), labels, 0.0)
        losses = ops.where(labels > 0.0, losses * labels, 0.0)
        steps = ops.cast(took_part, "float32")
        self.sums.assign_add(ops.stack([losses, labels, weights * steps, steps]))

    def result(self) -> dict[str, Tensor]:
        """Returns the means by log key; 0 where nothing was added."""
        sums, counts = self.sums[0::2], self.sums[1::2]  # [2, K]: of losses, of weights
        losses, weights = ops.unstack(ops.divide_no_nan(sums, counts), axis=0)
        means: dict[str, Tensor] = {}
        loss_list, weight_list = (ops.unstack(values) for values in (losses, weights))
        first = 0
        for name, size in self.sizes.items():
            columns = slice(first, first + size)
            first += size
            if size == 1:  # unstacked above: a slice for each of many tasks takes long to trace
                loss, weight = loss_list[columns.start], weight_list[columns.start]
            else:
                known = counts[0, columns] > 0
                loss = _mean(losses[columns], known)
                weight = _mean(weights[columns], counts[1, columns] > 0)
                means[f"{name}_worst_loss"] = ops.max(ops.where(known, losses[columns], 0.0))
                least = ops.min(ops.where(known, losses[columns], float("inf")))
                means[f"{name}_best_loss"] = ops.where(ops.any(known), least, 0.0)
            # Under plain Keras the mean over labels has the second name.
            means |= {f"{name}_loss": loss, f"{name}_mean_loss": loss, f"{name}_weight": weight}
        return means


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Returns the mean of the known values; 0 where none is."""
    known = ops.cast(known, "float32")
    return ops.divide_no_nan(ops.sum(values * known), ops.sum(known))
