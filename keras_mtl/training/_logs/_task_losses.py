"""The losses of all tasks on a batch, of this replica and of all."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_mtl._keras_internals import mask_of
from keras_mtl._replicas import sum_over_replicas
from keras_mtl._tasks import Task, is_variable
from keras_mtl._types import Tensor


class Losses(NamedTuple):
    """Holds the losses of a batch.

    Attributes:
        of_replica: This replica's part of each task's loss times `Task.weight`, a vector where
            the task has columns; the parts of all replicas add up to it.
        unweighted: The losses `[K]` of the global batch.
        counts: Their numbers of valid labels `[K]`.
    """

    of_replica: list[Tensor]
    unweighted: Tensor
    counts: Tensor


class TaskLosses:
    """Averages each task's loss over its valid labels in the global batch.

    Keras divides by the batch size instead, or by the labels of each replica (docs/keras_notes.md,
    F6).

    Args:
        tasks: The tasks, in the order of the balancer's weights.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._named = [(task.name, task.weight, task.make_loss()) for task in tasks]
        self.sizes = [len(task.loss_names) for task in tasks]

    @property
    def weights(self) -> Tensor:
        """`Task.weight` of each loss, `[K]`; the columns of a task count as one loss each."""
        pairs = zip(self._named, self.sizes, strict=True)
        weights = [weight for (_, weight, _), n in pairs for _ in range(n)]
        if any(map(is_variable, weights)):  # read in each step, for a callback may change it
            return tf.stack([tf.cast(tf.convert_to_tensor(w), tf.float32) for w in weights])
        return tf.constant(weights, tf.float32)

    def may_be_absent(self, predictions: dict[str, Tensor], sample_weight: Any) -> list[str]:
        """Returns the tasks that may have no valid label in some batch of this form.

        Args:
            predictions: Predictions by task; one may have a mask.
            sample_weight: Weights by task, or `None`.
        """
        weights = sample_weight or {}
        return [
            name
            for name, weight, _ in self._named
            if weights.get(name) is not None
            or mask_of(predictions[name]) is not None
            or is_variable(weight)
            or weight <= 0
        ]

    def __call__(self, y: Any, predictions: dict[str, Tensor], sample_weight: Any) -> Losses:
        """Returns the losses of a batch.

        Args:
            y: Labels by task.
            predictions: Predictions by task.
            sample_weight: Weights by task, or `None`.
        """
        weights = sample_weight or {}
        sums = [
            loss.total_and_count(y[name], predictions[name], weights.get(name))
            for name, _, loss in self._named
        ]
        # One all-reduce for all of them: totals and counts, [2, K]. Without gradients: that of an
        # all-reduce is an all-reduce too, in the middle of the backward pass.
        flat = [
            tf.concat([tf.reshape(s, (-1,)) for s in kind], 0) for kind in zip(*sums, strict=True)
        ]
        totals, counts = tf.unstack(sum_over_replicas(tf.stop_gradient(tf.stack(flat))))
        # The losses stay in a list. Unstacked from one tensor, each of them would seem to reach all
        # variables, with gradients of zero instead of none (docs/keras_notes.md, pain 93).
        of_replica = [
            tf.cast(weight, tf.float32)
            * tf.math.divide_no_nan(total, tf.reshape(count, total.shape))
            for (_, weight, _), (total, _), count in zip(
                self._named, sums, tf.split(counts, self.sizes), strict=True
            )
        ]
        return Losses(of_replica, tf.math.divide_no_nan(totals, counts), counts)
