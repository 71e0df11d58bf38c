"""The form of a batch of episodes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task


def read_episodes(data: Any, tasks: Sequence[Task]) -> tuple[Any, Any]:
    """Returns support and query of a batch, each with inputs, labels and sample weights.

    Raises:
        ValueError: If the batch has not both.
    """
    x, y, w = keras.utils.unpack_x_y_sample_weight(data)
    parts = []
    for part in ("support", "query"):
        if not isinstance(x, dict) or part not in x or not isinstance(y, dict) or part not in y:
            raise ValueError(
                'episodes must be ({"support": inputs, "query": inputs}, {"support": labels by '
                'task, "query": labels by task}), as data.episodes makes them; received '
                f"{type(x).__name__} and {type(y).__name__}."
            )
        weights = dict((w or {}).get(part) or {})
        labels = y[part]
        for task in tasks:
            if task.name not in labels:
                raise ValueError(
                    f"task {task.name!r}: the {part} has no labels of it; it has {sorted(labels)}."
                )
            if weights.get(task.name) is None:
                # [episodes, rows]
                weights[task.name] = tf.ones(tf.shape(labels[task.name])[:2])
        parts.append((x[part], labels, weights))
    return parts[0], parts[1]


def rows_of(arrays: Any) -> Any:
    """Returns arrays `[episodes, rows, ...]` as `[episodes x rows, ...]`."""
    return keras.tree.map_structure(
        lambda array: tf.reshape(array, tf.concat([[-1], tf.shape(array)[2:]], 0)), arrays
    )
