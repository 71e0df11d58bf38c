"""Which rows each worker reads: its part, and not all of them."""

from typing import Any

import tensorflow as tf


def check_sharding(data: Any, argument: str, strategy: tf.distribute.Strategy) -> None:
    """Checks that no dataset gives all rows to each of several workers.

    TensorFlow would train on them without a word, each row as often as there are workers.

    Args:
        data: What `fit` has received.
        argument: Its name.
        strategy: The strategy of the model, whose scope `fit` need not be called in.

    Raises:
        ValueError: If its `auto_shard_policy` is off.
    """
    joined = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if not joined or not isinstance(data, tf.data.Dataset):
        return
    policy = data.options().experimental_distribute.auto_shard_policy
    if policy == tf.data.experimental.AutoShardPolicy.OFF:
        raise ValueError(
            f"{argument}: the dataset has auto_shard_policy OFF, so that every worker would read "
            "the same rows. Leave the policy as it is; or, if each worker reads its own part, pass "
            "strategy.distribute_datasets_from_function(function), whose batches have the size of "
            "one worker's share."
        )
