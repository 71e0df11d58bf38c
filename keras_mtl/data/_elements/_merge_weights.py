"""Sample weights: one weight per label."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task


def merge_weights(factors: tf.Tensor, weights: Mapping[str, Any] | None, task: Task) -> tf.Tensor:
    """Multiplies the sample weights that a dataset has for a task, if any, by `factors`.

    Args:
        factors: One float32 factor per label, of the label's shape.
        weights: Sample weights by task, with as many axes as the label or fewer.
        task: The task.

    Returns:
        One weight per label, of the label's shape.

    Raises:
        ValueError: If the weights have more axes than the labels.
    """
    weight = None if weights is None else weights.get(task.name)
    if weight is None:
        return factors
    if isinstance(weight, tf.RaggedTensor):
        weight = weight.to_tensor()
    weight = tf.cast(weight, tf.float32)
    # Keras takes weights (batch, 1), but none of (batch, n) (docs/keras_notes.md, pain 16).
    if weight.shape.rank == factors.shape.rank + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    if weight.shape.rank > factors.shape.rank:
        raise ValueError(
            f"task {task.name!r}: sample weights of shape {weight.shape} do not fit labels of "
            f"shape {factors.shape}; give one weight per label, or one per example."
        )
    # A weight of an example holds for all its labels: (batch,) becomes (batch, 1, ...).
    for _ in range(factors.shape.rank - weight.shape.rank):
        weight = weight[..., tf.newaxis]
    # No product where the factor is 0: a weight beside a missing label may be NaN, and 0 * NaN is
    # NaN (docs/keras_notes.md, F5).
    return tf.where(factors > 0, factors * weight, tf.zeros_like(factors))
