"""The training rows that have a label of one task, in batches that are full of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.studies._data._parts import StudyData


@dataclasses.dataclass(frozen=True)
class LabeledBatches:
    """Says how the labeled rows of a task are batched.

    Args:
        batch_size: The number of rows of a batch, that of the training data.
        batches: The number of batches of an epoch; -1 for training data without an end.
    """

    batch_size: int
    batches: int

    def of(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the batches of the labeled rows, from batches of all rows.

        Args:
            rows: `(x, y, w)` of one task, with missing labels masked by weight 0.
        """
        full = _labeled(rows).batch(self.batch_size)
        if self.batches < 0:
            return full.repeat()  # as often as there are steps
        return full.apply(tf.data.experimental.assert_cardinality(self.batches))


def count_labeled(data: StudyData, tasks: Sequence[Task]) -> dict[str, LabeledBatches]:
    """Returns how the labeled rows of each task are batched; reads the training data once per task.

    Raises:
        ValueError: If a task has no labeled row; the message names it.
    """
    first = next(iter(data.open("train", tasks)))
    batch_size = int(tf.shape(tf.nest.flatten(first[1])[0])[0])
    counted = {}
    for task in tasks:
        rows = _labeled(data.open("train", [task]))
        if data.steps is not None:
            counted[task.name] = LabeledBatches(batch_size, -1)
            continue
        number = int(rows.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
        if not number:
            raise ValueError(
                f"task {task.name!r}: no training row has a label, so that its baseline cannot be "
                "trained with baseline_rows='labeled'. Leave the task out."
            )
        counted[task.name] = LabeledBatches(batch_size, -(-number // batch_size))
    return counted


def _labeled(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the rows, one by one, that have a label."""

    def has_label(x: Any, y: Any, weights: dict[str, Any]) -> Any:
        return tf.reduce_any([tf.reduce_any(w != 0.0) for w in weights.values()])

    return batches.unbatch().filter(has_label)
