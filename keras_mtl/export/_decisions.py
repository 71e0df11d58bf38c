"""Decisions of yes-or-no tasks, beside the probabilities that are served."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_mtl._tasks import Task

SUFFIX = "_decision"


def thresholds_of(tasks: Sequence[Task]) -> dict[str, tuple[float, ...]]:
    """Returns the thresholds of the tasks that have one, as their predictions are cut.

    A task has one threshold for all entries of its prediction's last axis, or one for each entry.

    Raises:
        ValueError: If the name of a decision is that of a task.
    """
    cuts = {task.name: task.described().thresholds for task in tasks if task.threshold is not None}
    names = {task.name for task in tasks}
    taken = [name for name in cuts if name + SUFFIX in names]
    if taken:
        raise ValueError(
            f"the decision of task {taken[0]!r} is served as {taken[0] + SUFFIX!r}, which is a "
            "task, too; rename it."
        )
    return cuts


def add_decisions(
    predictions: Mapping[str, tf.Tensor], thresholds: Mapping[str, Sequence[float]]
) -> dict[str, tf.Tensor]:
    """Returns predictions, and for each with a threshold its decision, int32 of the same shape.

    1 is yes, 0 is no, and -1 stands where the prediction is NaN.

    Args:
        predictions: By task.
        thresholds: By task, one number or one per entry of the last axis; a prediction above its
            threshold is a yes.
    """
    decisions = {}
    for name, threshold in thresholds.items():
        if name in predictions:
            prediction = predictions[name]
            cuts = tf.constant(threshold, prediction.dtype)
            yes = tf.cast(prediction > cuts, tf.int32)
            decisions[name + SUFFIX] = tf.where(tf.math.is_nan(prediction), -1, yes)
    return {**predictions, **decisions}
