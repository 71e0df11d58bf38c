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

    A loss that is not finite adds nothing to a mean, and is counted instead. In training, where
    the task was left out of that step, the mean is one over the other steps, or NaN where there
    is no other. In evaluation the whole value is infinite: for a monitor, the worst of all.
    (NaN would be kept as the best value if the first epoch had it: docs/keras_notes.md, pain 98.)

    Args:
        tasks: The number of losses of each task, by name.
        name: Name of the metric.
    """

    def __init__(self, tasks: Mapping[str, int], name: str = "task_means") -> None:
        super().__init__(name=name)
        self.sizes = dict(tasks)
        # [5, K]: the sums of losses, of labels, of weights and of steps; and in how many batches
        # the loss was not finite.
        self.sums = self.add_variable((5, sum(self.sizes.values())), "zeros", name="sums")

    def update_state(
        self, losses: Tensor, labels: Tensor, weights: Tensor, took_part: Tensor
    ) -> None:
        """Adds a batch of training.

        Args:
            losses: Mean losses `[K]` of the batch.
            labels: The numbers `[K]` of labels that they are means of.
            weights: Task weights `[K]`.
            took_part: Which tasks took part in the step, bool `[K]`.
        """
        finite = ops.isfinite(losses)
        labels = ops.where(finite, labels, 0.0)
        losses = ops.where(labels > 0.0, losses * labels, 0.0)
        steps, broken = ops.cast(took_part, "float32"), 1.0 - ops.cast(finite, "float32")
        self.sums.assign_add(ops.stack([losses, labels, weights * steps, steps, broken]))

    def add_evaluated(self, losses: Tensor, labels: Tensor) -> None:
        """Adds a batch of evaluation: mean losses `[K]`, and the numbers `[K]` of their labels."""
        finite = ops.isfinite(losses)
        labels = ops.where(finite, labels, 1.0)
        losses = ops.where(labels > 0.0, ops.where(finite, losses, float("inf")) * labels, 0.0)
        broken = 1.0 - ops.cast(finite, "float32")
        zeros = ops.zeros_like(broken)
        self.sums.assign_add(ops.stack([losses, labels, zeros, zeros, broken]))

    def broken_batches(self) -> Tensor:
        """Returns in how many batches each loss was not finite, `[K]`.

        On several replicas each of them has counted every batch.
        """
        return self.sums[4]

    def broken_tasks(self) -> list[Tensor]:
        """Returns for each task whether its values in evaluation are not finite, bool scalars."""
        broken = self.broken_batches() > 0.0
        flags, first = ops.unstack(broken), 0
        tasks = []
        for size in self.sizes.values():
            of_task = flags[first] if size == 1 else ops.any(broken[first : first + size])
            tasks.append(of_task)
            first += size
        return tasks

    def result(self) -> dict[str, Tensor]:
        """Returns the means by log key; 0 where nothing was added."""
        sums, labels, of_weights, steps, broken = ops.unstack(self.sums, 5)
        weights = ops.divide_no_nan(of_weights, steps)
        losses = ops.divide_no_nan(sums, labels)
        # Broken batches and no label in another one: 0 / 0.
        losses = ops.where(broken > 1e30 * labels, float("nan"), losses)
        means: dict[str, Tensor] = {}
        loss_list, weight_list = (ops.unstack(values) for values in (losses, weights))
        first = 0
        for name, size in self.sizes.items():
            columns = slice(first, first + size)
            first += size
            if size == 1:  # unstacked above: a slice for each of many tasks takes long to trace
                loss, weight = loss_list[columns.start], weight_list[columns.start]
            else:
                # Columns without labels have no part in the values of their task.
                known = labels[columns] + broken[columns] > 0.0
                loss = _mean(losses[columns], known)
                weight = _mean(weights[columns], steps[columns] > 0.0)
                means |= _ends(name, losses[columns], known, loss)
            # Under plain Keras the mean over labels has the second name.
            means |= {f"{name}_loss": loss, f"{name}_mean_loss": loss, f"{name}_weight": weight}
        return means


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Returns the mean of the known values; 0 where none is."""
    used = ops.where(known, values, 0.0)
    return ops.divide_no_nan(ops.sum(used), ops.sum(ops.cast(known, "float32")))


def _ends(name: str, losses: Tensor, known: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """Returns the worst and the best loss of a task's columns; its mean if that is not finite."""
    worst = ops.max(ops.where(known, losses, 0.0))
    best = ops.where(ops.any(known), ops.min(ops.where(known, losses, float("inf"))), 0.0)
    finite = ops.isfinite(mean)
    return {
        f"{name}_worst_loss": ops.where(finite, worst, mean),
        f"{name}_best_loss": ops.where(finite, best, mean),
    }
