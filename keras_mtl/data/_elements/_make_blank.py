"""Placeholders for labels and inputs that a dataset does not have."""

from typing import Any

import tensorflow as tf


def make_blank(spec: tf.TensorSpec, dtype: tf.DType, rows: Any, x: Any) -> tf.Tensor:
    """Returns zeros, or empty strings, in the shape of a spec.

    Args:
        spec: The spec of one example.
        dtype: The dtype of the result, which may differ from that of the spec.
        rows: The number of examples; `None` for a single example without a batch axis.
        x: The inputs: an axis of unknown length gets the length that it has there.

    Raises:
        ValueError: If an axis is of unknown length and the inputs have no such axis.
    """
    shape = [] if rows is None else [rows]
    first = len(shape)
    for axis, size in enumerate(spec.shape, first):
        # Labels of tokens or pixels are as long as the first input that has this axis.
        leaves = [leaf for leaf in tf.nest.flatten(x) if leaf.shape.rank > axis]
        if size is None and not leaves:
            raise ValueError(
                f"labels have the shape {spec.shape} per example, and inputs do not tell how long "
                f"axis {axis - first} is where there are none; pad them to a fixed length."
            )
        shape.append(tf.shape(leaves[0])[axis] if size is None else size)
    return tf.fill(shape, "" if dtype == tf.string else tf.zeros((), dtype))
