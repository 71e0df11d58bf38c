"""The focal loss of class numbers, which Keras has for one-hot labels alone."""

from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class SparseFocal(keras.losses.Loss):
    """Weighs the cross-entropy of an example down the surer the network is of its class.

    With the probability p of the class that is right, and computed from the logits:

        -(1 - p)^gamma log p

    It is the loss of `Task.multiclass(..., loss="focal")`. Choose it where easy examples are so
    many that the hard ones do not count; for rare classes alone, class weights are plainer. With
    gamma = 0 it is the cross-entropy. Probabilities come out less sure than frequencies are.

    Args:
        gamma: At least 1, where the derivative stays finite, or 0. Defaults to `2.0`.
        name: Name of the loss.

    Call arguments:
        y_true: Class numbers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Probabilities `(batch, ..., classes)`.

    Raises:
        ValueError: If gamma is below 1 and not 0.

    Example:
        >>> loss = SparseFocal()
        >>> round(float(loss(ops.array([1]), ops.array([[0.5, 0.5]]))), 4)  # log(2) / 4
        0.1733

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection" (arXiv:1708.02002). Its factor alpha
        of each class is left to class weights.
    """

    reads = "last axis"

    def __init__(self, gamma: float = 2.0, name: str = "sparse_focal") -> None:
        super().__init__(name=name)
        if gamma < 1 and gamma != 0:
            raise ValueError(f"gamma is 0, or at least 1; received {gamma!r}.")
        self.gamma = float(gamma)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each class number."""
        logits = logits_of(y_pred)
        if logits is None:
            log_p = ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0))
        else:
            log_p = ops.log_softmax(logits, axis=-1)
        classes = ops.cast(y_true, "int32")
        if len(classes.shape) < len(y_pred.shape):
            classes = ops.expand_dims(classes, -1)
        log_p = ops.squeeze(ops.take_along_axis(log_p, classes, axis=-1), -1)
        return -ops.power(1.0 - ops.exp(log_p), self.gamma) * log_p

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"gamma": self.gamma, "name": self.name}
