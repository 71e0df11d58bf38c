"""The tasks of a hook, and their probabilities."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._adversaries._smoothness import has_distribution
from keras_mtl.training._frontier import named_outputs


def judged_tasks(
    network: keras.Model, tasks: Sequence[Task], names: Sequence[str] | None, hook: str
) -> tuple[Task, ...]:
    """Returns the tasks of a hook: those that are named, or all that predict a distribution.

    Raises:
        ValueError: If a name is unknown, or a task predicts no distribution for each row.
    """
    known = [task.name for task in tasks]
    unknown = sorted({*(names or ())} - {*known})
    if unknown:
        raise ValueError(f"{hook!r}: {unknown} are no tasks; the model has {known}.")
    outputs = named_outputs(network)
    asked = [task for task in tasks if names is None or task.name in names]
    fit = [task for task in asked if has_distribution(task, len(outputs[task.name].shape))]
    unfit = [task.name for task in asked if task not in fit]
    if not fit or (names is not None and unfit):
        raise ValueError(
            f"{hook!r} reads the probabilities of a class, or of yes and no, for each row, and "
            f"{unfit} predict none. Name others in tasks=; numbers can learn from "
            "transfer.with_teachers, tokens from unlabeled.mask_tokens."
        )
    return tuple(fit)


def probabilities(task: Task, prediction: Tensor) -> Tensor:
    """Returns predicted probabilities in float32: of classes, or of yes."""
    output = task.described()
    prediction = tf.cast(prediction, tf.float32)
    if not output.logits:
        return prediction
    return tf.sigmoid(prediction) if output.kind == "yes or no" else tf.nn.softmax(prediction)


def confidence(task: Task, chances: Tensor) -> Tensor:
    """Returns the probability of the likeliest answer: `[rows]` of classes, or of each entry."""
    if task.described().kind == "yes or no":
        return tf.maximum(chances, 1.0 - chances)
    return tf.reduce_max(chances, axis=-1)
