"""The replicas of a step: the only file that knows `tf.distribute`.

TensorFlow is imported inside the functions, and only where it is the backend, so that the
layers above this file go on speaking plain Keras.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_mtl._types import Tensor


class Replicas:
    """Holds what one replica knows of all: this one is alone, so that nothing has to be done.

    The code of a step adds up and shares out over the replicas without asking how many there
    are; `current_replicas` returns `SeveralReplicas` where there are more.
    """

    count = 1

    @property
    def index(self) -> Tensor:
        """The position of this replica among all, an int32 scalar."""
        return 0

    def sum(self, values: Tensor | Sequence[Tensor]) -> Tensor:
        """Returns the sum of each value over the replicas; the same on all of them."""
        return values

    def gather(self, value: Tensor, axis: int = 0) -> Tensor:
        """Returns the values of all replicas, joined along `axis` in the order of replicas."""
        return value

    def all_true(self, flags: Tensor) -> Tensor:
        """Returns which flags are true on all replicas."""
        return flags

    def sum_and_all_true(self, value: Tensor, flags: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sum of a value, and which flags are true on all replicas; sends once."""
        return value, flags

    def assign(self, variables: Sequence[keras.Variable], values: Sequence[Tensor]) -> None:
        """Assigns values that are the same on all replicas, also to slots of an optimizer."""
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def share(self, factor: Tensor | float) -> Tensor | float:
        """Returns one replica's share of a number: what all of them give adds up to it."""
        return factor / self.count


class SeveralReplicas(Replicas):
    """Holds what one replica of several knows of all.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    def index(self) -> Tensor:
        """The position of this replica among all, an int32 scalar."""
        context = _context()
        return 0 if context is None else context.replica_id_in_sync_group

    def sum(self, values: Tensor | Sequence[Tensor]) -> Tensor:
        """Returns the sum of each value over the replicas; the same on all of them."""
        context = _context()
        return values if context is None else context.all_reduce("SUM", values)

    def gather(self, value: Tensor, axis: int = 0) -> Tensor:
        """Returns the values of all replicas, joined along `axis` in the order of replicas."""
        context = _context()
        return value if context is None else context.all_gather(value, axis=axis)

    def all_true(self, flags: Tensor) -> Tensor:
        """Returns which flags are true on all replicas."""
        false = keras.ops.cast(keras.ops.logical_not(flags), "float32")
        return keras.ops.equal(self.sum(false), 0.0)

    def sum_and_all_true(self, value: Tensor, flags: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sum of a value, and which flags are true on all replicas; sends once."""
        ops = keras.ops
        false = ops.cast(ops.logical_not(flags), value.dtype)
        total = self.sum(ops.concatenate([ops.reshape(value, (-1,)), false]))
        count = flags.shape[0]
        return ops.reshape(total[:-count], value.shape), ops.equal(total[-count:], 0)

    def assign(self, variables: Sequence[keras.Variable], values: Sequence[Tensor]) -> None:
        """Assigns values that are the same on all replicas, also to slots of an optimizer."""

        def update(strategy: Any, values: Sequence[Tensor]) -> None:
            for variable, value in zip(variables, values, strict=True):
                strategy.extended.update(
                    variable.value, lambda old, new: old.assign(new), args=(value,), group=False
                )

        context = _context()
        if context is not None:
            # A slot says nothing of how replicas agree, so that no replica can assign it alone.
            context.merge_call(update, args=(list(values),))


def current_replicas() -> Replicas:
    """Returns the replicas that take part in a step of the current strategy."""
    count = num_replicas()
    return Replicas() if count == 1 else SeveralReplicas(count)


def num_replicas() -> int:
    """Returns how many replicas take part in a step of the current strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def sum_over_replicas(values: Tensor | Sequence[Tensor]) -> Tensor:
    """Returns the sum of each value over the replicas of the current strategy."""
    return current_replicas().sum(values)


def several_workers() -> bool:
    """Returns whether the replicas of the current strategy are spread over processes."""
    if num_replicas() == 1:
        return False
    import tensorflow as tf

    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def _context() -> Tensor | None:
    """Returns the context of this replica.

    It is `None` across replicas, where Keras builds losses and metrics from one symbolic batch.
    """
    import tensorflow as tf

    return tf.distribute.get_replica_context()


_counted_by_step = contextvars.ContextVar("counted_by_step", default=False)  # one per replica


@contextlib.contextmanager
def losses_counted_by_step() -> Iterator[None]:
    """Tells layers, inside of the context, that the step completes the losses that they add."""
    token = _counted_by_step.set(True)
    try:
        yield
    finally:
        _counted_by_step.reset(token)


def check_added_losses(layer: keras.layers.Layer, training: bool | None) -> None:
    """Checks that the loss which a layer adds in training will be that of the global batch.

    Under plain Keras, the first sum over replicas in a step, which the loss of a task takes, lets
    the next replica call the same layers and replace their losses (docs/keras_notes.md, pain 79).

    Raises:
        ValueError: On several replicas, in a step that is none of `BalancedModel`.
    """
    if training and num_replicas() > 1 and _context() is not None and not _counted_by_step.get():
        raise ValueError(
            f"{layer.name}: its penalty would be that of some of the {num_replicas()} replicas "
            "under plain Keras. Train by keras_mtl.BalancedModel (with balancers.Equal() it takes "
            "the steps of plain training), or on one device."
        )


def add_loss_of_sums(
    layer: keras.layers.Layer, value_of: Callable[..., Tensor], sums: Sequence[Tensor]
) -> None:
    """Adds a loss that is a function of sums over the rows, of the global batch where it can be.

    A layer cannot add them up over replicas itself: that would let the next replica run in the
    middle of the forward pass. `BalancedModel` does it after the pass, by `sums_of_loss`.

    Args:
        layer: The layer.
        value_of: Computes the loss, a scalar, from the sums.
        sums: Sums over this replica's rows.
    """
    value = value_of(*sums)
    if num_replicas() > 1 or _counted_by_step.get():
        value._keras_mtl_sums = (value_of, tuple(sums))
    layer.add_loss(value)


def sums_of_loss(loss: Tensor) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]] | None:
    """Returns the function and the sums of a loss of `add_loss_of_sums`; `None` for others."""
    return getattr(loss, "_keras_mtl_sums", None)


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
