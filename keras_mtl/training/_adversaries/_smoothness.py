"""How far predictions for appended rows are from those for the rows that they come from."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._penalty import Penalty

CLASSES = ("class", "one-hot", "distribution")
_LEAST = 1e-37  # the smallest probability of which float32 has a logarithm


class Smoothness(Penalty):
    """Keeps the predictions for appended rows near those for the rows that they come from.

    The mean over the rows of sum_k w_k KL(p_k(x) || p_k(x + r)), with the weight w_k of task k,
    its predicted distribution p_k, which counts as constant on the left, and the step r. It counts
    in steps of which a hook has appended as many rows as the batch has: `Adversarial` makes it.

    Args:
        tasks: The tasks, which predict distributions.
        strength: Its factor in the goal.
        name: Its name in the logs.
    """

    of_hook = True

    def __init__(self, tasks: Sequence[Task], strength: float, *, name: str) -> None:
        super().__init__(strength, name=name)
        self._judged = tuple(tasks)

    def penalize(
        self, outputs: Mapping[str, Tensor], sample_weights: Mapping[str, Tensor]
    ) -> Tensor:
        """Computes the divergence of each appended row, twice, and 0 for all others."""
        rows = sum(
            tf.cast(tf.convert_to_tensor(task.weight), tf.float32)
            * divergence(task, tf.stop_gradient(clean), nearby)
            for task in self._judged
            for clean, nearby in [tf.split(outputs[task.name], 2)]
        )
        # Twice, since the mean is taken over both halves.
        return tf.concat([tf.zeros_like(rows), 2.0 * rows], 0)


def divergence(task: Task, first: Tensor, second: Tensor) -> Tensor:
    """Returns KL(first || second) of two predictions of a task, `[rows]`.

    Args:
        task: The task, which predicts probabilities or their logits, `[rows, classes or answers]`.
        first, second: Its predictions.
    """
    output = task.described()
    first, second = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
    if output.kind == "yes or no":
        yes = tf.sigmoid if output.logits else tf.identity
        return _terms(yes(first), yes(second)) + _terms(1.0 - yes(first), 1.0 - yes(second))
    distribution = tf.nn.softmax if output.logits else tf.identity
    return _terms(distribution(first), distribution(second))


def _terms(p: Tensor, q: Tensor) -> Tensor:
    logarithms = [tf.math.log(tf.maximum(probability, _LEAST)) for probability in (p, q)]
    return tf.reduce_sum(p * (logarithms[0] - logarithms[1]), axis=-1)


def has_distribution(task: Task, rank: int | None) -> bool:
    """Returns whether a task predicts one distribution, or yes or no, for each row."""
    return rank == 2 and task.described().kind in ("yes or no", *CLASSES)
