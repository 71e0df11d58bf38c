"""The losses of all tasks on a batch, of this replica and of all."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._replicas import sum_over_replicas
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor

Losses: TypeAlias = tuple[list[Tensor], Tensor, Tensor]
"""This replica's parts of the losses, the losses `[K]`, and their numbers of labels `[K]`."""


class TaskLosses:
    """Averages each task's loss over its valid labels in the global batch.

    Args:
        tasks: The tasks, in the order of the balancer's weights.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._named = [(task.name, task.weight, task.make_loss()) for task in tasks]
        self.sizes = [len(task.loss_names) for task in tasks]

    @property
    def weights(self) -> Tensor:
        """`Task.weight` of each loss, `[K]`; the columns of a task count as a loss each."""
        pairs = zip(self._named, self.sizes, strict=True)
        return tf.constant([weight for (_, weight, _), n in pairs for _ in range(n)], tf.float32)

    def __call__(self, y: Any, predictions: dict[str, Tensor], sample_weight: Any) -> Losses:
        """Losses of a batch.

        Returns:
            This replica's part of each task's loss times `Task.weight`, a vector where it has
            columns (the parts of all replicas add up to it); the losses `[K]` of the global
            batch, unweighted; and its numbers of valid labels `[K]`.
        """
        given = sample_weight or {}
        sums = [
            loss.total_and_count(y[name], predictions[name], given.get(name))
            for name, _, loss in self._named
        ]
        flat = [
            tf.concat([tf.reshape(v, (-1,)) for v in each], 0) for each in zip(*sums, strict=True)
        ]
        totals, counts = tf.unstack(sum_over_replicas(tf.stop_gradient(tf.stack(flat))))
        parts = [
            weight * tf.math.divide_no_nan(total, tf.reshape(count, total.shape))
            for (_, weight, _), (total, _), count in zip(
                self._named, sums, tf.split(counts, self.sizes), strict=True
            )
        ]
        return parts, tf.math.divide_no_nan(totals, counts), counts
