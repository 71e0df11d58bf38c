"""What a value is on all replicas together: the only file that knows `tf.distribute`.

TensorFlow is imported inside the functions, and only where it is the backend, so that the
layers above this file go on speaking plain Keras.
"""

from collections.abc import Sequence

import keras

from keras_mtl._types import Tensor


def num_replicas() -> int:
    """How many replicas take part in a step of the current strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _replica_context() -> Tensor | None:
    if num_replicas() == 1:
        return None
    import tensorflow as tf

    # None across replicas, where Keras builds losses and metrics from one symbolic batch.
    return tf.distribute.get_replica_context()


def replica_index() -> Tensor:
    """The position of this replica among all, an int32 scalar; 0 without a strategy."""
    context = _replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def sum_over_replicas(values: Tensor | Sequence[Tensor]) -> Tensor:
    """The sum of each value over the replicas; the same on all of them."""
    context = _replica_context()
    return values if context is None else context.all_reduce("SUM", values)


def gather_over_replicas(value: Tensor, axis: int = 0) -> Tensor:
    """The values of all replicas, joined along `axis` in the order of the replicas."""
    context = _replica_context()
    return value if context is None else context.all_gather(value, axis=axis)


def several_workers() -> bool:
    """Whether the replicas of the current strategy are spread over processes."""
    if num_replicas() == 1:
        return False
    import tensorflow as tf

    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def strategy() -> Tensor:
    """Returns the strategy that uses all accelerators of this machine.

    A `tf.distribute.MirroredStrategy` over all GPUs where there is more than one, and the
    default strategy (which changes nothing) otherwise. Build *and* compile inside its scope;
    nothing else changes, for plain Keras models and for `BalancedModel` alike. Make one
    strategy a process: TensorFlow's collectives clash when there are two.

    Returns:
        A `tf.distribute.Strategy`.

    Example:
        >>> import keras_mtl as mtl
        >>> strategy = mtl.training.strategy()
        >>> with strategy.scope():
        ...     network = mtl.architectures.hard_sharing(
        ...         keras.Input((4,)), [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        ...     )
        >>> strategy.num_replicas_in_sync
        1
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in gpus])
    return tf.distribute.get_strategy()
