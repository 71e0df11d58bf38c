"""The position in the data at which a training goes on."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_mtl.training._backup._known_order import KnownOrder, shuffled_arrays

# Keras makes one at the beginning of an epoch, and one at its end (docs/keras_notes.md, 141).
_ITERATORS_PER_EPOCH = 2

DATA_END = (
    "the data end before the batch at which the backup was made. Pass the data with which training "
    "began, or remove the folder of the backup."
)


def repeatable(arguments: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
    """Returns arguments of `fit` with training data whose position can be found again.

    Args:
        arguments: Of `fit`; the data have been checked.
        seed: Of an order that is drawn here.
        epoch: The epoch (from 0) in which training goes on.

    Raises:
        ValueError: If their order in a later epoch cannot be repeated.
    """
    x, steps = arguments["x"], arguments["steps_per_epoch"]
    if isinstance(x, tf.distribute.DistributedDataset):
        if steps is not None and int(x.cardinality) >= 0:
            raise ValueError(
                "with steps_per_epoch, training.Backup needs data without an end: call .repeat() "
                "on the dataset before it is distributed."
            )
        return {**arguments}
    if isinstance(x, tf.data.Dataset):
        # One iterator for all epochs, as Keras has it for data without an end.
        return {**arguments, "x": x if steps is None else x.repeat()}
    if hasattr(x, "get_tf_dataset"):  # an adapter, of generators and Keras's own datasets
        _begin(getattr(x, "data", None), seed, epoch, steps)
        return {**arguments}
    if arguments["shuffle"] is True:
        return shuffled_arrays(arguments, seed, epoch)
    if arguments["shuffle"]:
        raise ValueError(
            f"training.Backup cannot repeat shuffle={arguments['shuffle']!r}; expected True or "
            "False."
        )
    return {**arguments}


def _begin(data: Any, seed: int, epoch: int, steps: int | None) -> None:
    """Goes to an epoch of a `PyDataset`, and refuses all other streams."""
    if not isinstance(data, KnownOrder):
        raise ValueError(
            "training.Backup finds a position in a tf.data.Dataset, a keras.utils.PyDataset and in "
            f"arrays; received a {type(data).__name__}, which cannot be read again. Make a "
            "dataset of it, for example by tf.data.Dataset.from_generator(function, "
            "output_signature=...)."
        )
    if steps is not None and data.num_batches is not None:
        raise ValueError(
            f"training.Backup takes whole epochs of a {type(data.data).__name__}, which has "
            f"{data.num_batches} batches: leave steps_per_epoch out."
        )
    data.begin(seed, epoch)


def at_epoch(x: Any, epoch: int, step: int, strategy: tf.distribute.Strategy) -> Any:
    """Returns the data as they are when the iterators of former epochs have been made.

    A dataset that is shuffled anew in each epoch draws the seed of an epoch when the iterator is
    made.

    Raises:
        ValueError: If an epoch has too few batches.
    """
    if not isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
        return x
    size = x.cardinality() if callable(x.cardinality) else x.cardinality
    if 0 <= int(size) <= step:
        raise ValueError(DATA_END)
    if epoch == 0:
        return x
    if isinstance(x, tf.data.Dataset):
        # As Keras does it: the distributed dataset is what makes iterators.
        x = strategy.experimental_distribute_dataset(x)
    for _ in range(_ITERATORS_PER_EPOCH * epoch):
        iter(x)
    return x


class SkippingFunction:
    """Takes batches from the data without training, and then trains as before.

    So the steps of the epoch in which training goes on have their numbers, and callbacks see all
    of them.

    Args:
        function: The `train_function` of a model.
        calls: How many of the calls train nothing.
        batches: How many batches the first call leaves out beside its own.
        steps_per_call: How many batches a call takes.

    Attributes:
        function: The `train_function`; flags of tasks may need another one in mid-training.
    """

    def __init__(
        self, function: Callable[[Any], Any], calls: int, batches: int, steps_per_call: int
    ) -> None:
        self.function = function
        self._calls = calls
        self._batches = batches
        self._steps_per_call = steps_per_call

    @property
    def skips(self) -> bool:
        """Whether the next call trains nothing."""
        return self._calls > 0

    def __call__(self, iterator: Any) -> Any:
        """Trains, or takes batches and returns no logs."""
        self._take(iterator, self._batches)
        self._batches = 0
        if not self.skips:
            return self.function(iterator)
        self._take(iterator, self._steps_per_call)
        self._calls -= 1
        return {}

    def _take(self, iterator: Any, count: int) -> None:
        for _ in range(count):
            try:
                next(iterator)
            except (StopIteration, tf.errors.OutOfRangeError) as error:
                raise ValueError(DATA_END) from error


def steps_per_call(model: keras.Model) -> int:
    """Returns how many batches a call of `train_function` takes."""
    return int(model.steps_per_execution)
