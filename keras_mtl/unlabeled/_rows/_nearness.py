"""The penalty on predictions of changed rows."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training import Penalty
from keras_mtl.training._adversaries._smoothness import divergence
from keras_mtl.unlabeled._rows._judged import confidence, probabilities


class Nearness(Penalty):
    """Keeps predictions for changed rows near those for the rows themselves.

    It counts in steps of which a hook has appended as many rows as the batch has.

    Args:
        tasks: The tasks, which predict distributions.
        threshold: The probability of the likeliest answer from which on a row counts, with this
            answer as the label; 0 for all rows, with the predicted distribution.
        strength: Its factor in the goal.
        name: Its name in the logs.
    """

    of_hook = True

    def __init__(
        self, tasks: Sequence[Task], threshold: float, strength: float, *, name: str
    ) -> None:
        super().__init__(strength, name=name)
        self._judged = tuple(tasks)
        self._threshold = threshold

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the divergence of each changed row, twice, and 0 for all moved."""
        rows = tf.add_n([self._of_task(task, outputs[task.name]) for task in self._judged])
        # Twice, since the mean is taken over both halves.
        return tf.concat([tf.zeros_like(rows), 2.0 * rows], 0)

    def _of_task(self, task: Task, prediction: Tensor) -> Tensor:
        """Returns the divergence of one task, `[rows]`."""
        clean, changed = tf.split(prediction, 2)
        clean = tf.stop_gradient(clean)
        weight = tf.cast(tf.convert_to_tensor(task.weight), tf.float32)
        if not self._threshold:
            return weight * divergence(task, clean, changed)
        chances, moved = probabilities(task, clean), probabilities(task, changed)
        is_sure = tf.cast(confidence(task, chances) >= self._threshold, tf.float32)
        if task.described().kind == "yes or no":
            right = tf.where(chances > 0.5, moved, 1.0 - moved)  # [rows, entries]
            return weight * tf.reduce_sum(-is_sure * _log(right), axis=-1)
        right = tf.gather(moved, tf.argmax(chances, -1), batch_dims=1)
        return -weight * is_sure * _log(right)


def _log(probability: Tensor) -> Tensor:
    return tf.math.log(tf.maximum(probability, 1e-37))
