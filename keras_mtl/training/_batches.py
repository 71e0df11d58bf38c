"""Batches that lie on several replicas, joined in the order in which they were dealt out."""

import tensorflow as tf

from keras_mtl._replicas import gather_over_replicas, num_replicas, replica_index, sum_over_replicas
from keras_mtl._types import Tensor


def join_batches(value: Tensor) -> Tensor:
    """The parts `[batch, ...]` of all replicas as one global batch, the same on all."""
    return gather_over_replicas(value, axis=0)


def part_of_batch(joined: Tensor, own: Tensor) -> Tensor:
    """The part of a global batch that belongs to this replica, shaped like `own`."""
    replicas = num_replicas()
    if replicas == 1:
        return joined
    index = replica_index()
    sizes = sum_over_replicas(tf.one_hot(index, replicas) * tf.cast(tf.shape(own)[0], tf.float32))
    sizes = tf.cast(sizes, tf.int32)
    start = tf.reduce_sum(sizes[:index])
    return joined[start : start + tf.shape(own)[0]]
