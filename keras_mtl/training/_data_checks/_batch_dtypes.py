"""Batches whose numbers Keras would change, to make them those of the first batch's dtype."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.data._inputs._finite_inputs import name_leaves


class BatchDtypes:
    """Refuses a batch that does not survive the cast to the dtypes of the first batch.

    Keras learns the dtypes of a `PyDataset` or a generator from its first batch, and casts all
    others without a word: labels 0.5 become 0 behind a batch of integers (docs/keras_notes.md,
    pain 124). Floats of another size are rounded, as everywhere in Keras.

    Args:
        remember: Receives the error, of which TensorFlow would make one of its own.
    """

    def __init__(self, remember: Callable[[Exception], None]) -> None:
        self._remember = remember
        self._expected: dict[str, tf.DType] = {}

    def learn(self, spec: Any) -> None:
        """Learns the dtypes to which Keras casts.

        Args:
            spec: The specs of a batch.
        """
        named = ((name, getattr(leaf, "dtype", None)) for name, leaf in _name_values(spec))
        # All numbers fit into floats.
        self._expected = {name: d for name, d in named if d is not None and not d.is_floating}

    def check(self, number: int, batch: Any) -> None:
        """Checks the values of a batch that have another dtype.

        Args:
            number: The number of the batch, for messages.
            batch: Arrays.

        Raises:
            ValueError: If a cast would change one.
        """
        for name, leaf in _name_values(batch):
            expected, received = self._expected.get(name), getattr(leaf, "dtype", None)
            if expected is None or received is None:
                continue
            if getattr(received, "name", str(received)) == expected.name:
                continue
            if changed := _first_change(_numbers_of(leaf), expected):
                before, after = changed
                error = ValueError(
                    f"{name} of batch {number} have the dtype {received}, and those of the first "
                    f"batch {expected.name}, to which Keras casts all batches: it would make "
                    f"{after} of {before}. Yield one dtype in all batches, such as by "
                    ".astype('float32')."
                )
                self._remember(error)
                raise error


def _name_values(batch: Any) -> Iterator[tuple[str, Any]]:
    """Yields the arrays of a batch, each with its name for messages."""
    x, labels, weights = (*(batch if isinstance(batch, tuple) else (batch,)), None, None)[:3]
    for name, leaf in name_leaves(x):
        yield f"the numbers of {name}", leaf
    for what, by_task in (("labels", labels), ("weights", weights)):
        if isinstance(by_task, Mapping):
            for task, leaf in by_task.items():
                yield f"task {task!r}: the {what}", leaf


def _numbers_of(leaf: Any) -> Any:
    """Returns the numbers of an array or a tensor, dense, sparse or ragged."""
    if hasattr(leaf, "tocoo"):
        return leaf.tocoo().data
    leaf = leaf.values if isinstance(leaf, tf.SparseTensor) else leaf
    leaf = leaf.flat_values if isinstance(leaf, tf.RaggedTensor) else leaf
    return np.asarray(leaf)


def _first_change(values: Any, dtype: tf.DType) -> tuple[Any, Any] | None:
    """Returns the first number that a cast changes, before and after; `None` if there is none."""
    expected = np.dtype(dtype.as_numpy_dtype)
    if {values.dtype.kind, expected.kind} - set("biuf"):
        return None  # strings, which are never cast to numbers silently
    with np.errstate(all="ignore"):
        cast = values.astype(expected)
        changed = np.flatnonzero(cast.astype(values.dtype) != values)  # NaN differs from all
    if not changed.size:
        return None
    return values.flat[changed[0]], cast.flat[changed[0]]
