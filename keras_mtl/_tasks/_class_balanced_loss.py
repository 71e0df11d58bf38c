"""A loss whose value of each label is weighed by the class of the label."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor

DEFAULT_BETA = 0.999
"""The paper takes 0.9, 0.99, 0.999 or 0.9999, the larger, the more the data hold."""


@keras.saving.register_keras_serializable(package="keras_mtl")
class ClassBalanced(keras.losses.Loss):
    """Multiplies another loss by a weight of the class of the label.

    With n_c examples of class c in the training data, and C classes, the weights v are in
    proportion to the inverse of the effective number of examples, and sum to C:

        v_c ~ (1 - beta) / (1 - beta^n_c),   loss(y, p) = v_y l(y, p)

    It is the loss of `loss="class_balanced"` and `"class_balanced_focal"` in the factories of
    classes. Choose it where rare classes matter as much as their examples are new to the network;
    beta = 0 weighs all classes alike, and beta near 1 by 1 / n_c. The weights stand inside of the
    loss: metrics do not see them, and a batch of frequent classes has a small loss. With
    `keras_mtl.data.class_weights` they are sample weights instead, which metrics obey, and
    relative to each other within the batch.

    Args:
        loss: The loss of one label: of class numbers, of one-hot rows, or of 0 and 1.
        counts: The number of training examples of each class: a sequence, or a dict by class, as
            `keras_mtl.data.describe(dataset, tasks)[task].classes` is. For a class without any,
            1 is assumed.
        beta: In [0, 1). Defaults to `0.999`.
        name: Name of the loss.

    Call arguments:
        y_true: Class numbers, one-hot rows (a soft label has the mean of the weights), or 0 and 1.
        y_pred: Probabilities.

    Raises:
        ValueError: If a count is negative or not finite, there are fewer than two classes, or beta
            is not in [0, 1).

    Example:
        >>> loss = ClassBalanced(keras.losses.BinaryCrossentropy(), [90, 10], beta=0.9)
        >>> [round(weight, 4) for weight in loss.weights]
        [0.7889, 1.2111]

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples"
        (arXiv:1901.05555). There the focal loss of classes is one of independent sigmoids; here
        it is that of a softmax.
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        counts: Sequence[float] | Mapping[int, float],
        beta: float = DEFAULT_BETA,
        name: str = "class_balanced",
    ) -> None:
        super().__init__(name=name)
        self.loss = loss
        self.counts = _read_counts(counts)
        self.beta = float(beta)
        if not 0.0 <= self.beta < 1.0:
            raise ValueError(f"beta is at least 0 and below 1; received {beta!r}")
        sizes = np.maximum(self.counts, 1.0)
        shares = (1.0 - self.beta) / (1.0 - self.beta**sizes)  # 1 / E_n, proposition 1
        self.weights: list[float] = (shares * len(sizes) / shares.sum()).tolist()

    @property
    def reads(self) -> str:
        """What one value depends on: a class along the last axis, or one entry."""
        return "last axis" if self._has_classes else "element"

    @property
    def _has_classes(self) -> bool:
        return not isinstance(
            self.loss, keras.losses.BinaryCrossentropy | keras.losses.BinaryFocalCrossentropy
        )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each label times the weight of its class."""
        values = self.loss.call(y_true, y_pred)
        weights = ops.convert_to_tensor(self.weights, values.dtype)
        if not self._has_classes:
            y_true = ops.cast(y_true, values.dtype)
            of_labels = weights[0] + (weights[1] - weights[0]) * y_true
            return values * ops.reshape(of_labels, ops.shape(values))
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == len(self.weights):
            return values * ops.sum(ops.cast(y_true, values.dtype) * weights, axis=-1)
        classes = ops.reshape(ops.cast(y_true, "int32"), ops.shape(values))
        return values * ops.take(weights, classes)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "counts": list(self.counts),
            "beta": self.beta,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ClassBalanced":
        """Builds the loss that `get_config` described."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


def _read_counts(counts: Any) -> tuple[float, ...]:
    """Returns the number of examples of each class, in the order of the classes."""
    if isinstance(counts, Mapping):
        if any(key != int(key) or key < 0 for key in counts):
            raise ValueError(f"counts are by class, 0, 1, ...; received {dict(counts)!r}")
        counts = [counts.get(value, 0) for value in range(1 + max(map(int, counts), default=0))]
    numbers = tuple(np.asarray(counts, np.float64).reshape(-1).tolist())
    if len(numbers) < 2 or not np.isfinite(numbers).all() or min(numbers) < 0:
        raise ValueError(
            "counts are the numbers of training examples of each class, of two or more; received "
            f"{counts!r}"
        )
    return numbers
