"""Orders that can be drawn again: of arrays that `fit` shuffles, and of a `PyDataset`."""

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import (
    ChangedAdapter,
    slice_sparse,
    sliceable,
    split_for_validation,
)

_ROWS_OF_BATCH = 32  # as in Keras


class KnownOrder(keras.utils.PyDataset):
    """Yields the batches of a `PyDataset` in an order that depends on a seed and the epoch alone.

    Keras would draw it from Python's generator, whose state no backup knows.

    Args:
        data: The dataset of the user.
        shuffled: Whether the order is random, if the data have an end.
    """

    def __init__(self, data: keras.utils.PyDataset, shuffled: bool) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data = data
        self._shuffled = shuffled and data.num_batches is not None
        self._order: np.ndarray | None = None
        self._seed = self._epoch = 0

    @property
    def num_batches(self) -> int | None:
        """The number of batches; `None` without an end."""
        number: int | None = self.data.num_batches
        return number

    def begin(self, seed: int, epoch: int) -> None:
        """Goes to the beginning of an epoch, as if those before had been read.

        Args:
            seed: Of the order.
            epoch: The epoch (from 0).
        """
        self._seed, self._epoch = seed, 0
        for _ in range(epoch):
            self.data.on_epoch_begin()
            self.data.on_epoch_end()
        self._go_to(epoch)

    def _go_to(self, epoch: int) -> None:
        self._epoch = epoch
        if self._shuffled:
            generator = np.random.default_rng((self._seed, epoch))
            self._order = generator.permutation(self.data.num_batches)

    def __getitem__(self, index: int) -> Any:
        return self.data[index if self._order is None else int(self._order[index])]

    def on_epoch_begin(self) -> None:
        """Tells the data that an epoch begins."""
        self.data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the data that an epoch is over.

        The next order is drawn here: processes that read ahead have started when Keras says that an
        epoch begins.
        """
        self.data.on_epoch_end()
        self._go_to(self._epoch + 1)


def draw_seed() -> int:
    """Draws the seed of an order, as `keras.utils.set_random_seed` has seeded it."""
    return random.randrange(2**31)


class _Rows:
    """Says which rows of arrays are in which batch, as `KnownOrder` does it for batches.

    TensorFlow's own `shuffle(seed=...)` depends on the seed of the process as well.

    Args:
        rows: The number of rows.
        batch_size: Of a batch.
        seed: Of the order.
        epoch: The epoch (from 0) which is read first.
        endless: Whether one epoch follows the other without an end, from the first one on.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, epoch: int, endless: bool) -> None:
        self.batch_size = batch_size
        self.num_batches = None if endless else math.ceil(rows / batch_size)
        self._rows = rows
        self._seed = seed
        self._epoch = epoch

    def numbers(self) -> Iterator[np.ndarray]:
        """Yields the numbers of the rows of each batch."""
        endless = self.num_batches is None
        for epoch in itertools.count() if endless else [self._epoch]:
            order = np.random.default_rng((self._seed, epoch)).permutation(self._rows)
            for first in range(0, self._rows, self.batch_size):
                yield order[first : first + self.batch_size]

    def on_epoch_begin(self) -> None:
        """Does nothing: the order was known at the end of the epoch before."""

    def on_epoch_end(self) -> None:
        """Goes to the next epoch."""
        self._epoch += 1


def shuffled_arrays(arguments: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
    """Returns the arguments of `fit` with batches in place of arrays that it shuffles.

    Args:
        arguments: Of `fit`.
        seed: Of the orders, one for each epoch.
        epoch: The epoch (from 0) which is read first.
    """
    arrays: tuple[Any, ...] = (arguments["x"], arguments["y"], arguments["sample_weight"])
    validation = arguments["validation_data"]
    share = arguments["validation_split"]
    if share and validation is None:
        arrays, validation = split_for_validation(arrays, share)
    if arrays[2] is None:
        arrays = arrays[:2]
    steps, batch_size = arguments["steps_per_epoch"], arguments["batch_size"]
    rows = next(int(array.shape[0]) for array in keras.tree.flatten(arrays) if array is not None)
    in_batch = batch_size or (math.ceil(rows / steps) if steps else _ROWS_OF_BATCH)
    order = _Rows(rows, in_batch, seed, epoch, endless=steps is not None)
    return {
        **arguments,
        "x": ChangedAdapter(order, _batches_of(arrays, order)),
        "y": None,
        "sample_weight": None,
        "batch_size": None,
        "validation_split": 0.0,
        "validation_data": validation,
        "validation_batch_size": arguments["validation_batch_size"] or batch_size,
        "shuffle": False,
    }


def _batches_of(arrays: Any, order: _Rows) -> tf.data.Dataset:
    """Returns the batches of arrays, as Keras makes them."""

    def take(numbers: tf.Tensor, inputs: Any) -> Any:
        def take_from(tensor: Any) -> Any:
            sparse = slice_sparse(tensor, numbers)
            if sparse is not None:
                return sparse
            # `None` sends `traverse` into a structure.
            return tf.gather(tensor, numbers, axis=0) if tf.is_tensor(tensor) else None

        return keras.tree.traverse(take_from, inputs)

    numbers = tf.data.Dataset.from_generator(
        order.numbers, output_signature=tf.TensorSpec([None], tf.int64)
    )
    inputs = tf.data.Dataset.from_tensors(sliceable(arrays)).repeat()
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = tf.data.Dataset.zip(numbers, inputs).map(take, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
