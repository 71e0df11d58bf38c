"""Batches that are spread over several replicas: joined, or dealt out to several samples."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._batch import Batch
from keras_mtl.training._gradients import split_direction


def join_batches(stacked: Tensor, shaped_as: Tensor, replicas: Replicas) -> Tensor:
    """Returns the gradients `[K, n]` of all replicas' examples, side by side, on every replica.

    Args:
        stacked: This replica's gradients `[K, n]`; n are the entries of a tensor `(batch, ...)`.
        shaped_as: A tensor of that shape.
        replicas: The replicas of the step.
    """
    if replicas.count == 1:
        return stacked
    num_tasks = stacked.shape[0]
    by_example = tf.reshape(stacked, (num_tasks, tf.shape(shaped_as)[0], -1))  # [K, batch, ...]
    # `gather` joins along the first axis, where replicas may have batches of different sizes.
    joined = replicas.gather(tf.transpose(by_example, (1, 0, 2)))  # [global batch, K, ...]
    return tf.reshape(tf.transpose(joined, (1, 0, 2)), (num_tasks, -1))


def part_of_batch(
    direction: Tensor, joined: Sequence[Tensor], shaped_as: Sequence[Tensor], replicas: Replicas
) -> list[Tensor]:
    """Returns this replica's part of a direction over the joined batches, one tensor per source.

    Args:
        direction: The direction `[n]`; n are the entries of all joined arrays, one after another.
        joined: For each source, the result of `join_batches`.
        shaped_as: For each source, a tensor of the shape that it has on this replica.
        replicas: The replicas of the step.
    """
    if replicas.count == 1:
        return split_direction(direction, shaped_as)
    parts = tf.split(direction, [tf.shape(array)[1] for array in joined], num=len(joined))
    batch_size = tf.shape(shaped_as[0])[0]
    start = batch_start(batch_size, replicas)
    return [
        tf.reshape(part, tf.concat([[-1], tf.shape(tensor)[1:]], 0))[start : start + batch_size]
        for part, tensor in zip(parts, shaped_as, strict=True)
    ]


def batch_start(batch_size: Tensor, replicas: Replicas) -> Tensor:
    """Returns how many examples of the global batch are on the replicas before this one."""
    if replicas.count == 1:
        return tf.zeros((), tf.int32)
    # Summed over replicas: the sizes of all batches, in the order of the replicas.
    here = tf.one_hot(replicas.index, replicas.count) * tf.cast(batch_size, tf.float32)
    return tf.reduce_sum(tf.cast(replicas.sum(here), tf.int32)[: replicas.index])


def deal_out(
    weights: Any, names: Sequence[str], batch: Batch, num_samples: int, replicas: Replicas
) -> list[dict[str, Tensor]]:
    """Returns the sample weights of each sample of a batch: zero for examples of other samples.

    The example at position i of the global batch goes to sample `i mod num_samples`, so that the
    samples are the same on any number of replicas. Rows that a hook has appended go with the
    example that they come from.

    Args:
        weights: Sample weights by task, or `None`.
        names: Names of the tasks.
        batch: This replica's part of the batch.
        num_samples: The number of samples.
        replicas: The replicas of the step.
    """
    weights = weights or {}
    rows = tf.range(batch.size)
    if batch.num_examples is not None:
        rows %= batch.num_examples
    start = batch_start(batch.size if batch.num_examples is None else batch.num_examples, replicas)
    position = start + rows
    dealt = []
    for sample in range(num_samples):
        mask = tf.cast(tf.equal(position % num_samples, sample), tf.float32)
        dealt.append({name: _masked(weights.get(name), mask) for name in names})
    return dealt


def _masked(weights: Tensor | None, mask: Tensor) -> Tensor:
    if weights is None:
        return mask
    weights = tf.cast(weights, tf.float32)
    # (batch,) becomes (batch, 1, ...), with as many axes as the weights.
    return weights * tf.reshape(mask, [-1] + [1] * (len(weights.shape) - 1))
