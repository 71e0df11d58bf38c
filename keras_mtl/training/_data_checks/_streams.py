"""Streams of batches: which data are some, and the two ends of a generator."""

import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import make_adapter, watch_batches
from keras_mtl.training._backup._known_order import KnownOrder
from keras_mtl.training._data_checks._batch_dtypes import BatchDtypes

# Classes of torch.utils.data and of grain that Keras reads; neither is imported here.
_LOADERS = {"DataLoader", "IterDataset", "MapDataset"}


def is_stream(data: Any) -> bool:
    """Returns whether data yield batches, instead of holding all examples."""
    known = tf.data.Dataset | tf.distribute.DistributedDataset | keras.utils.PyDataset | Iterator
    if isinstance(data, known) or hasattr(data, "get_tf_dataset"):  # the latter: Keras's adapters
        return True
    return any(
        cls.__name__ in _LOADERS and cls.__module__.startswith(("torch.utils.data", "grain"))
        for cls in type(data).__mro__
    )


def is_distributed(data: Any) -> bool:
    """Returns whether a dataset is dealt out to replicas already.

    Its batches are out of reach, and are taken as they are.
    """
    return isinstance(data, tf.distribute.DistributedDataset)


def kind_of(data: Any) -> str:
    """Returns the name of the class of data; of a `KnownOrder`, that of the user's data."""
    return type(data.data if isinstance(data, KnownOrder) else data).__name__


def refuse_arguments(data: Any, **arguments: Any) -> None:
    """Refuses labels and weights beside a stream, which holds its own."""
    extra = [name for name, value in arguments.items() if value is not None]
    if extra:
        raise ValueError(
            f"a {kind_of(data)} yields (x, y) or (x, y, weights) itself; leave out "
            f"{' and '.join(extra)}."
        )


def make_stream(
    data: Any,
    check_first: Callable[[Any], None],
    remember: Callable[[Exception], None],
    shuffle: bool = False,
) -> tuple[Any, tf.data.Dataset]:
    """Returns Keras's adapter of a stream that is no dataset, and the dataset that it makes.

    Args:
        data: A `PyDataset`, a generator or a loader.
        check_first: Raises an error if a batch has another structure than Keras reads.
        remember: Receives the error of a batch that has other dtypes than the first one.
        shuffle: As in `fit`.
    """
    if isinstance(data, types.GeneratorType):
        data = _checked_first(data, check_first)
    # Keras warns of its own default where data have an order (docs/keras_notes.md, pain 76).
    has_end = isinstance(data, keras.utils.PyDataset) and data.num_batches is not None
    dtypes = BatchDtypes(remember)
    try:
        adapter = make_adapter(data, shuffle and has_end)
        watch_batches(adapter, dtypes.check)
        dataset = adapter.get_tf_dataset()
    except (TypeError, ValueError):
        # Keras's messages about structures name no task.
        if isinstance(data, keras.utils.PyDataset):
            check_first(data[0])
        raise
    dtypes.learn(dataset.element_spec)
    holds_none = any(
        isinstance(spec, tf.OptionalSpec) for spec in tf.nest.flatten(dataset.element_spec)
    )
    if holds_none and isinstance(data, keras.utils.PyDataset):
        raise ValueError(
            f"a {kind_of(data)} yields None, which Keras reads from generators alone; leave "
            "it out of the batches."
        )
    return adapter, dataset


def _checked_first(batches: Iterator[Any], check: Callable[[Any], None]) -> Iterator[Any]:
    """Returns the batches of a generator, of which the first has been checked."""
    first = list(itertools.islice(batches, 1))
    for batch in first:
        check(batch)
    # Keras takes generators alone, no other iterators.
    return (batch for batch in itertools.chain(first, batches))


def with_end(dataset: tf.data.Dataset, refuse: Callable[[], None]) -> tf.data.Dataset:
    """Returns a dataset at whose end an error is raised, instead of a broken step.

    Keras updates the optimizer once more when data run out in mid-epoch (docs/keras_notes.md, F1).
    """

    def end() -> Iterator[Any]:
        refuse()
        yield from ()

    return dataset.concatenate(
        tf.data.Dataset.from_generator(end, output_signature=dataset.element_spec)
    )
