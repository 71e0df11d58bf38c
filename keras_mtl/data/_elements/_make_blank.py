"""Labels and inputs that are not there: zeros that look like them."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task


def is_batched(inputs: Any, labels: Mapping[str, Any], tasks: Sequence[Task]) -> bool:
    """Whether the first axis counts examples: what a task knows of its labels tells."""
    for task in tasks:
        if task.labels is None:
            continue
        shape = labels[task.name].shape
        axes = shape.rank - len(task.labels.shape)
        if axes == 1 and shape.is_fully_defined() and shape[-1] == 1:
            return not shape[:-1].is_compatible_with(task.labels.shape)  # one label, in a list
        return bool(axes > 0)
    shapes = [leaf.shape for leaf in [*tf.nest.flatten(inputs), *labels.values()]]
    return all(shape.rank > 0 for shape in shapes) and len({shape[0] for shape in shapes}) == 1


def blank(spec: tf.TensorSpec, dtype: tf.DType, rows: Any, x: Any) -> tf.Tensor:
    """Zeros, or empty strings, in the shape of a spec.

    Args:
        spec: Of one example.
        dtype: Of the zeros.
        rows: How many examples; `None` for a single one without an axis for it.
        x: The inputs: axes of unknown length are as long as theirs.

    Raises:
        ValueError: If an axis is of unknown length and the inputs have no such axis.
    """
    shape = [] if rows is None else [rows]
    first = len(shape)
    for axis, size in enumerate(spec.shape, first):
        leaves = [leaf for leaf in tf.nest.flatten(x) if leaf.shape.rank > axis]
        if size is None and not leaves:
            raise ValueError(
                f"labels have the shape {spec.shape} an example, and inputs do not tell how long "
                f"axis {axis - first} is where there are none; pad them to a fixed length."
            )
        shape.append(tf.shape(leaves[0])[axis] if size is None else size)
    return tf.fill(shape, "" if dtype == tf.string else tf.zeros((), dtype))
