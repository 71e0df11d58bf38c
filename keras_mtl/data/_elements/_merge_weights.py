"""Sample weights: one a label."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task


def merge_weights(factors: tf.Tensor, weights: Mapping[str, Any] | None, task: Task) -> tf.Tensor:
    """Multiplies the weights that a dataset holds for a task, if any, with `factors`.

    Args:
        factors: One float32 factor a label, of the label's shape.
        weights: Sample weights by task, with as many axes as the label or fewer.
        task: The task.

    Returns:
        One weight a label, of the label's shape.

    Raises:
        ValueError: If the weights have more axes than the labels.
    """
    given = None if weights is None else weights.get(task.name)
    if given is None:
        return factors
    if isinstance(given, tf.RaggedTensor):
        given = given.to_tensor()
    given = tf.cast(given, tf.float32)
    if given.shape.rank == factors.shape.rank + 1 and given.shape[-1] == 1:
        given = given[..., 0]
    if given.shape.rank > factors.shape.rank:
        raise ValueError(
            f"task {task.name!r}: sample weights of shape {given.shape} do not fit labels of "
            f"shape {factors.shape}; give one weight a label, or one an example."
        )
    for _ in range(factors.shape.rank - given.shape.rank):
        given = given[..., tf.newaxis]
    # No product where the factor is 0: a weight beside a missing label may be NaN.
    return tf.where(factors > 0, factors * given, tf.zeros_like(factors))
