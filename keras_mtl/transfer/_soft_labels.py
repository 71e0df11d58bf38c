"""Predictions of a teacher in place of labels."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor

CLASSES = ("class", "one-hot", "distribution")


def soft_loss(task: Task, temperature: float = 1.0) -> keras.losses.Loss:
    """Returns the loss of a task whose labels are predictions of a teacher.

    Raises:
        ValueError: If it is not known what its labels say, or a temperature has no classes.
    """
    output = task.described()
    if temperature != 1.0:
        if output.kind not in CLASSES or output.logits:
            raise ValueError(
                f"task {task.name!r}: a temperature softens probabilities of classes, and the "
                f"prediction is of the kind {output.kind!r}"
                + (", as logits" if output.logits else "")
                + ". Use temperature=1.0."
            )
        return Softened(temperature)
    if output.kind == "yes or no":
        return keras.losses.BinaryCrossentropy(from_logits=output.logits)
    if output.kind in CLASSES:
        return keras.losses.CategoricalCrossentropy(from_logits=output.logits)
    if output.kind == "number" and task.loss_takes_means:
        return task.make_loss()
    if output.kind in ("number", "quantiles", "survival", "scores"):
        raise ValueError(
            f"task {task.name!r}: its loss takes labels that were measured, and what the teacher "
            "predicts is a mean, quantiles, a curve or a score, and no such label. Train the "
            "student on labels, or distill the other tasks."
        )
    raise ValueError(
        f"task {task.name!r}: what its labels say is not known, so that nobody knows how far two "
        "predictions are apart; make it by a factory such as Task.regression, or state labels="
    )


def soft_label(task: Task, prediction: Tensor) -> Tensor:
    """Returns the prediction of a teacher as a label: probabilities of logits."""
    output = task.described()
    prediction = ops.cast(prediction, "float32")
    if not output.logits:
        return prediction
    to_probabilities = ops.sigmoid if output.kind == "yes or no" else ops.softmax
    probabilities: Tensor = to_probabilities(prediction)
    return probabilities


@keras.saving.register_keras_serializable(package="keras_mtl")
class Softened(keras.losses.CategoricalCrossentropy):
    """Computes T^2 times the cross-entropy of two distributions that a temperature softens.

    With the teacher's distribution q, that of the student p and the temperature T:

        -T^2 sum_c q'_c log p'_c,    q' = softmax(log(q) / T),    p' = softmax(log(p) / T)

    Its gradient is that of T^2 KL(q' || p'), from which it differs by the entropy of q'. Choose it
    by `transfer.taught(task, temperature=T)`, with labels of `transfer.with_teachers`. Not for
    labels of 0 and 1, of which nothing can be softened.

    Args:
        temperature: T, positive.
        name: Optional name.

    Raises:
        ValueError: If the temperature is not positive.
    """

    def __init__(self, temperature: float, *, name: str | None = "softened", **kwargs: Any) -> None:
        kwargs = {key: value for key, value in kwargs.items() if key in ("reduction", "dtype")}
        super().__init__(name=name, **kwargs)
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature must be positive and finite; received {temperature!r}.")
        self.temperature = float(temperature)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each distribution."""
        known = logits_of(y_pred)
        logits = _logarithm(y_pred) if known is None else known
        target = ops.softmax(_logarithm(ops.cast(y_true, logits.dtype)) / self.temperature)
        logarithms = ops.log_softmax(logits / self.temperature, axis=-1)
        return -(self.temperature**2) * ops.sum(target * logarithms, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {
            "temperature": self.temperature,
            "name": self.name,
            "reduction": self.reduction,
        }


def _logarithm(probabilities: Tensor) -> Tensor:
    return ops.log(ops.maximum(probabilities, 1e-37))
