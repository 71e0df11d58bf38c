"""Keras's adapters: what makes a `tf.data.Dataset` of whatever `fit` is given."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.trainers.data_adapters import array_slicing, get_data_adapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter


class ChangedAdapter(DataAdapter):
    """Hands another dataset to `fit` than the one that an adapter makes of its data.

    Keras takes an adapter in place of data, as it is. So everything that the adapter does beside
    making the dataset stays as it is: workers, processes and callbacks at the end of an epoch.

    Args:
        adapter: The adapter that Keras makes of the data.
        dataset: The dataset to be used, such as the adapter's own with an operation added.
        data: What the adapter reads.
    """

    def __init__(self, adapter: Any, dataset: Any, data: Any = None) -> None:
        self._adapter = adapter
        self._dataset = dataset
        self.data = data

    def get_tf_dataset(self) -> Any:
        """Returns the dataset."""
        return self._dataset

    def on_epoch_begin(self) -> None:
        """Tells the data that an epoch begins."""
        self._adapter.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the data that an epoch is over."""
        self._adapter.on_epoch_end()

    @property
    def num_batches(self) -> int | None:
        """The number of batches of an epoch; `None` if it is unknown or there is no end."""
        number: int | None = self._adapter.num_batches
        return number

    @property
    def batch_size(self) -> int | None:
        """The size of a batch, if the data tell it."""
        size: int | None = self._adapter.batch_size
        return size

    @property
    def has_partial_batch(self) -> Any:
        """Whether the last batch is smaller, if the data tell it."""
        return getattr(self._adapter, "has_partial_batch", None)

    @property
    def partial_batch_size(self) -> Any:
        """The size of the last batch, if the data tell it."""
        return getattr(self._adapter, "partial_batch_size", None)


def make_adapter(data: Any, shuffle: bool) -> Any:
    """Returns the adapter that Keras makes of data which yield batches.

    Args:
        data: A `PyDataset`, a generator, or a loader of another library that Keras knows.
        shuffle: Whether a `PyDataset` with an end is read in random order. Keras warns of it for
            all other data, which have an order of their own.

    Raises:
        ValueError: If Keras takes no such data.
    """
    return get_data_adapter(data, shuffle=shuffle)


def sliceable(arrays: Any) -> Any:
    """Returns arrays as `fit` reads them: tensors, in tuples and dictionaries.

    Args:
        arrays: Any that Keras takes, also sparse ones and frames of pandas.
    """
    tensors = array_slicing.convert_to_sliceable(arrays, target_backend="tensorflow")
    return keras.tree.lists_to_tuples(tensors)


def slice_sparse(value: Any, rows: Any) -> Any:
    """Returns rows of a sparse tensor of `sliceable`; `None` for anything else."""
    if isinstance(value, array_slicing.TensorflowSparseWrapper):
        return array_slicing.slice_tensorflow_sparse_wrapper(value, rows)
    return None


def split_for_validation(arrays: Any, share: float) -> tuple[Any, Any]:
    """Returns arrays without their last rows, and these, as `fit` splits them.

    Args:
        arrays: Features, labels and sample weights.
        share: The share of the last rows.
    """
    pair: tuple[Any, Any] = array_slicing.train_validation_split(arrays, share)
    return pair


def watch_batches(adapter: Any, watch: Callable[[int, Any], None]) -> None:
    """Hands each batch to a function, with its number, before an adapter casts it.

    Args:
        adapter: As `make_adapter` returns it; one of another kind than a `PyDataset` or a
            generator stays as it is.
        watch: Gets a batch; an error that it raises ends the iteration.
    """
    for name in ("_get_iterator", "generator"):
        batches = getattr(adapter, name, None)
        if callable(batches):
            setattr(adapter, name, _watched(batches, watch))


def _watched(batches: Callable[[], Any], watch: Callable[[int, Any], None]) -> Callable[[], Any]:
    def iterate() -> Iterator[Any]:
        for number, batch in enumerate(batches()):
            watch(number, batch)
            yield batch

    return iterate
