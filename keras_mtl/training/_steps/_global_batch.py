"""Batches that lie on several replicas: joined, or dealt out to several parts."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import gather_over_replicas, num_replicas, replica_index, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gramian import split_like


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
    start = batch_start(batch)
    return [
        tf.reshape(part, tf.concat([[-1], tf.shape(thing)[1:]], 0))[start : start + batch]
        for part, thing in zip(parts, like, strict=True)
    ]


def batch_start(batch_size: Tensor) -> Tensor:
    """How many examples of the global batch lie on the replicas before this one."""
    if num_replicas() == 1:
        return tf.zeros((), tf.int32)
    index = replica_index()
    here = tf.one_hot(index, num_replicas()) * tf.cast(batch_size, tf.float32)
    return tf.reduce_sum(tf.cast(sum_over_replicas(here), tf.int32)[:index])


def deal_out(weights: Any, names: Sequence[str], batch_size: Tensor, parts: int) -> list[Any]:
    """Sample weights for each of several parts of a batch: zero for examples of the others.

    The example at position i of the global batch goes to part `i mod parts`, wherever the
    replicas' batches begin.

    Args:
        weights: Sample weights by task, or `None`.
        names: Names of the tasks.
        batch_size: Number of examples on this replica.
        parts: How many parts.
    """
    given = weights or {}
    position = batch_start(batch_size) + tf.range(batch_size)
    dealt = []
    for part in range(parts):
        mask = tf.cast(tf.equal(position % parts, part), tf.float32)
        dealt.append({name: _masked(given.get(name), mask) for name in names})
    return dealt


def _masked(weights: Tensor | None, mask: Tensor) -> Tensor:
    if weights is None:
        return mask
    weights = tf.cast(weights, tf.float32)
    return weights * tf.reshape(mask, [-1] + [1] * (len(weights.shape) - 1))
