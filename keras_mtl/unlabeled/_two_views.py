"""Changed rows beside the rows themselves, for a contrastive task."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.unlabeled._rows._append import append, input_of, masked, replace


def two_views(
    dataset: tf.data.Dataset,
    change: keras.layers.Layer,
    tasks: Sequence[Task],
    name: str = "views",
    *,
    on: str | None = None,
) -> tf.data.Dataset:
    """Appends changed rows, and labels that say which two rows are views of one.

    Behind the rows of each batch stand the same rows as a layer changes them. Both halves have
    labels of one more task, `unlabeled.contrastive(name, ...)`: the position of the row in the
    batch. The other tasks see the first half only, as it is.

    Choose it with large batches (128 rows and more), since the other rows of the batch are what a
    row is compared with; a batch of one row teaches nothing.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`; rows without any label (NaN) are welcome.
        change: A Keras layer that changes the input and keeps its shape, such as
            `keras.layers.RandomTranslation`, or `unlabeled.SwapCells(0.6)` for tables.
        tasks: The tasks that have labels in it.
        name: The name of the new task. Defaults to `"views"`.
        on: The name of the input that is changed, where inputs are a dict. Defaults to `None`.

    Returns:
        A dataset of `(x, y, w)` with twice as many rows per batch.

    Raises:
        ValueError: If a task is called `name`, batches have one row, or several inputs leave it
            open which one is changed.

    Example:
        >>> from keras_mtl import unlabeled
        >>> tasks = [Task.binary("spam")]
        >>> x, y = tf.random.normal((4, 3)), {"spam": [0.0, 1.0, 1.0, 0.0]}
        >>> dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
        >>> x, y, w = next(iter(two_views(dataset, unlabeled.SwapCells(0.6), tasks)))
        >>> y["views"].numpy().tolist(), w["spam"].numpy().tolist()
        ([0, 1, 0, 1], [1.0, 1.0, 0.0, 0.0])
    """
    rows = masked(dataset, tasks, name)
    spec = input_of(rows.element_spec[0], on, "two_views")
    if spec.shape.rank == 0 or spec.shape[0] == 1:
        raise ValueError(
            f"two_views needs batches of several rows, which are compared; received {spec}."
        )

    def view(*element: Any) -> Any:
        before = input_of(element[0], on, "two_views")
        after = tf.cast(change(before, training=True), before.dtype)
        pairs = tf.tile(tf.range(tf.shape(before)[0]), [2])
        weight = tf.ones_like(pairs, tf.float32)
        return append(element, replace(element[0], on, after), name, pairs, weight)

    return rows.map(view)
