"""A task's loss on a batch: the mean over the labels that are there, on all replicas."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of, mask_of, with_logits
from keras_mtl._replicas import sum_over_replicas
from keras_mtl._types import Tensor


def get_loss(identifier: keras.losses.Loss | str) -> keras.losses.Loss:
    """The loss itself, or the loss object that Keras knows by this name.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If it is neither a name nor a loss.
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(f"loss is a keras.losses.Loss or the name of one; received {identifier!r}")
    found = keras.losses.get(identifier)
    if not isinstance(found, keras.losses.Loss):  # a function: Keras names its class alike
        found = getattr(keras.losses, found.__name__.title().replace("_", ""))()
    return found


def align_labels(labels: Tensor, prediction: Tensor, elementwise: bool) -> Tensor:
    """Gives labels the rank that a Keras loss compares with `prediction`.

    Labels of shape `(batch,)` against predictions `(batch, 1)` would broadcast to
    `(batch, batch)` in a `keras.losses.Loss` subclass, without an error.
    """
    rank = len(prediction.shape)
    if len(labels.shape) == rank - 1 and (prediction.shape[-1] == 1 or elementwise):
        labels = ops.expand_dims(labels, -1)
    return labels


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskLoss(keras.losses.Loss):
    """Averages a Keras loss over the valid labels of the global batch.

    The loss of a task on a batch is `sum(w * l) / sum(w)`, with both sums over the batch of
    all replicas together; it is exactly 0 where no label is valid. (Keras divides by the batch
    size instead, so a task with 10 % of its labels would weigh a tenth of what it should, and
    its own `mean_with_sample_weight` divides on each replica apart.)

    Args:
        loss: A `keras.losses.Loss`.
        elementwise: Whether every entry of the last axis has a label, and a weight, of its own
            (multi-label tasks and regressions with several targets).
        num_columns: How many entries of the last axis are tasks of their own: each has a mean of
            its own then, and the loss is their sum. 0 for none. Defaults to `0`.
        name: Optional name.

    Call arguments:
        y_true: Labels, of the prediction's shape or without its last axis.
        y_pred: Predictions.
        sample_weight: `None`, or weights of shape `(batch,)` up to one a label; zero where
            the label is missing.

    Example:
        >>> loss = TaskLoss(keras.losses.MeanSquaredError())
        >>> float(loss(ops.array([1.0, 9.0]), ops.array([[3.0], [0.0]]), ops.array([1.0, 0.0])))
        4.0
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        elementwise: bool = False,
        name: str | None = None,
        num_columns: int = 0,
    ) -> None:
        super().__init__(name=name or loss.name)
        self.loss = loss
        self.elementwise = elementwise
        self.num_columns = num_columns

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss a label: the prediction's shape, without the last axis unless elementwise."""
        y_true = align_labels(y_true, y_pred, self.elementwise)
        if self.elementwise:
            # Keras losses average over the last axis: give them one of length 1.
            logits = logits_of(y_pred)
            y_true, y_pred = ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
            if logits is not None:
                y_pred = with_logits(y_pred, ops.expand_dims(logits, -1))
        return self.loss.call(y_true, y_pred)

    def total_and_count(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`sum(w * l)` and `sum(w)` over the labels of this replica, by column if there are any."""
        values = ops.cast(self.call(y_true, y_pred), "float32")
        weights = label_weights(values, y_pred, sample_weight)
        axes = tuple(range(len(values.shape) - 1)) if self.num_columns else None
        return ops.sum(values * weights, axis=axes), ops.sum(weights, axis=axes)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """This replica's part of the loss: the parts of all replicas add up to it."""
        total, count = self.total_and_count(y_true, y_pred, sample_weight)
        parts = ops.divide_no_nan(total, sum_over_replicas(ops.stop_gradient(count)))
        return ops.sum(parts) if self.num_columns else parts

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss."""
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "elementwise": self.elementwise,
            "name": self.name,
            "num_columns": self.num_columns,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskLoss":
        """Makes the loss that `get_config` described."""
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(loss, config["elementwise"], config["name"], config.get("num_columns", 0))


def label_weights(
    values: Tensor, prediction: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """The weight of each label in `values`, from sample weights and the prediction's mask."""
    weights = ops.ones_like(values, dtype="float32")
    mask = mask_of(prediction)
    for factor in (sample_weight, mask):
        if factor is None:
            continue
        factor = ops.cast(factor, "float32")
        if len(factor.shape) > len(values.shape):
            factor = ops.squeeze(factor, -1)
        for _ in range(len(values.shape) - len(factor.shape)):
            factor = ops.expand_dims(factor, -1)
        weights = weights * factor
    return weights
