"""Sends a dataset to another process."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_FAIL = 2  # of `external_state_policy`: a dataset with state outside of its graph is an error


@dataclasses.dataclass(frozen=True)
class PackedDataset:
    """Holds a dataset as its graph, which holds the tensors that it is made from.

    Args:
        graph: The graph.
        spec: The structure of an element.
    """

    graph: bytes
    spec: Any

    def unpack(self) -> tf.data.Dataset:
        """Makes the dataset in this process."""
        variant = tf.raw_ops.DatasetFromGraph(graph_def=self.graph)
        return tf.data.experimental.from_variant(variant, structure=self.spec)


@dataclasses.dataclass(frozen=True)
class DatasetFunction:
    """Holds a function of the user's that makes a dataset.

    Args:
        make: The function.
    """

    make: Callable[[], tf.data.Dataset]

    def unpack(self) -> tf.data.Dataset:
        """Makes the dataset in this process."""
        return self.make()


def pack_dataset(dataset: Any, name: str) -> PackedDataset | DatasetFunction:
    """Packs a dataset, or a function that makes one, so that it can be pickled.

    Raises:
        ValueError: If the dataset calls Python, as one from a generator does, holds tables or
            files in memory, or is too large for a graph.

    Example:
        >>> packed = pack_dataset(tf.data.Dataset.range(5).batch(2), "train")
        >>> [batch.tolist() for batch in packed.unpack().as_numpy_iterator()]
        [[0, 1], [2, 3], [4]]
    """
    if not isinstance(dataset, tf.data.Dataset):
        return DatasetFunction(dataset)
    try:
        graph = tf.raw_ops.DatasetToGraphV2(
            input_dataset=tf.data.experimental.to_variant(dataset),
            external_state_policy=_FAIL,
            strip_device_assignment=True,
        )
    except (tf.errors.OpError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be sent to the workers as it is ({error}). Pass a function without "
            f"arguments that makes it, {name}=lambda: ..., which each worker calls."
        ) from error
    return PackedDataset(graph.numpy(), dataset.element_spec)
