"""Batches that lie on several replicas, joined in the order in which they were dealt out."""

from collections.abc import Sequence

import tensorflow as tf

from keras_mtl._replicas import gather_over_replicas, num_replicas, replica_index, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._statistics import split_like


def join_batches(stacked: Tensor, like: Tensor) -> Tensor:
    """The gradients `[K, n]` of every replica's examples, side by side, the same on all.

    Args:
        stacked: This replica's; the first axis of what was flattened to `n` is the batch.
        like: What was flattened.
    """
    if num_replicas() == 1:
        return stacked
    num_tasks = stacked.shape[0]
    by_example = tf.reshape(stacked, (num_tasks, tf.shape(like)[0], -1))
    joined = gather_over_replicas(tf.transpose(by_example, (1, 0, 2)))
    return tf.reshape(tf.transpose(joined, (1, 0, 2)), (num_tasks, -1))


def parts_of_batch(
    direction: Tensor, joined: Sequence[Tensor], like: Sequence[Tensor]
) -> list[Tensor]:
    """This replica's part of a direction over the joined batches of all things."""
    if num_replicas() == 1:
        return split_like(direction, like)
    parts = tf.split(direction, [tf.shape(each)[1] for each in joined], num=len(joined))
    batch = tf.shape(like[0])[0]
    index, replicas = replica_index(), num_replicas()
    sizes = sum_over_replicas(tf.one_hot(index, replicas) * tf.cast(batch, tf.float32))
    start = tf.reduce_sum(tf.cast(sizes, tf.int32)[:index])
    return [
        tf.reshape(part, tf.concat([[-1], tf.shape(thing)[1:]], 0))[start : start + batch]
        for part, thing in zip(parts, like, strict=True)
    ]
