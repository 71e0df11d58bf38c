"""Positions of words: which stay, and in which order."""

import tensorflow as tf


def dropped(valid: tf.Tensor, rate: float, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws which words stay; at least one of each text does.

    Args:
        valid: Booleans `[rows, words]`: where there is a word, and no padding.
        rate: The probability of a word to be dropped.
        seed: An int32 `[2]`.

    Returns:
        For each place, the position of the word that now stands there, `[rows, words]`, words first
        and in their order; and where there is a word now.
    """
    draws = tf.random.stateless_uniform(tf.shape(valid), seed)
    # The word with the highest draw stays in any case.
    best = tf.reduce_max(tf.where(valid, draws, -1.0), axis=1, keepdims=True)
    stays = valid & ((draws >= rate) | (draws == best))
    order = tf.argsort(tf.cast(~stays, tf.int32), axis=1, stable=True)
    counts = tf.reduce_sum(tf.cast(stays, tf.int32), axis=1, keepdims=True)
    return order, tf.range(tf.shape(valid)[1])[tf.newaxis] < counts


def swapped(valid: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws words that change places with the next one.

    Each pair of neighbors is swapped with probability `rate`; of overlapping pairs, the first one.

    Args:
        valid: Booleans `[rows, words]`.
        rate: The probability.
        seed: An int32 `[2]`.

    Returns:
        For each place, the position of the word that now stands there, `[rows, words]`.
    """
    size = tf.shape(valid)[1]
    draws = tf.random.stateless_uniform(tf.shape(valid), seed) < rate
    next_is_valid = tf.pad(valid[:, 1:], [[0, 0], [0, 1]])
    wishes = draws & valid & next_is_valid
    # A pair begins where a run of wishes has an even number of wishes before: no word moves twice.
    position = tf.broadcast_to(tf.range(size)[tf.newaxis], tf.shape(valid))
    last_refusal = tf.scan(tf.maximum, tf.transpose(tf.where(wishes, -1, position)))
    begins = wishes & ((position - tf.transpose(last_refusal)) % 2 == 1)
    ends = tf.pad(begins[:, :-1], [[0, 0], [1, 0]])
    return tf.where(begins, position + 1, tf.where(ends, position - 1, position))
