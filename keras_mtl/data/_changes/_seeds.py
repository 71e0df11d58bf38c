"""Seeds for the draws of each batch."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def map_with_seeds(
    dataset: tf.data.Dataset, function: Callable[[Any, tf.Tensor], Any], seed: int
) -> tf.data.Dataset:
    """Maps batches, with an int32 `[2]` for stateless draws, another one in each batch and epoch.

    Args:
        dataset: Batches.
        function: Receives an element and the seed.
        seed: From which all seeds follow.
    """
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    cardinality = dataset.cardinality()
    pairs = tf.data.Dataset.zip((dataset, numbers))

    def call(element: Any, draws: tf.Tensor) -> Any:
        return function(element, tf.bitcast(draws, tf.int32)[:, 0])

    mapped = pairs.map(tf.autograph.experimental.do_not_convert(call))
    if cardinality == tf.data.UNKNOWN_CARDINALITY:  # as of rows that were filtered
        return mapped
    return mapped.apply(tf.data.experimental.assert_cardinality(cardinality))
