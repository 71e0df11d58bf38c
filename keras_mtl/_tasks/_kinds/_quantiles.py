"""The head and the loss of tasks that predict quantiles."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._tasks._head import Head
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class Ascending(keras.layers.Layer):
    """Turns any numbers into numbers in ascending order:

        q_1 = z_1,   q_j = q_(j-1) + softplus(z_j)

    so that quantiles do not cross, whatever the network computes.

    Call arguments:
        numbers: Floats `(batch, ..., units)`.

    Returns:
        Floats of the same shape.

    Example:
        >>> [round(q, 4) for q in Ascending()(ops.array([[5.0, 0.0, -50.0]])).numpy()[0].tolist()]
        [5.0, 5.6931, 5.6931]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, numbers: Tensor) -> Tensor:
        """Computes the numbers in ascending order."""
        steps = ops.softplus(numbers[..., 1:])
        return ops.cumsum(ops.concatenate([numbers[..., :1], steps], axis=-1), axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class QuantileHead(Head):
    """Ends a tower in quantiles that do not cross.

    Args:
        units: The number of quantiles.
        activation: `"linear"`: quantiles are any numbers.

    Example:
        >>> QuantileHead(3)(keras.Input((8,)), "demand").shape
        (None, 3)
    """

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Maps numbers `(batch, ..., units)` to quantiles."""
        return Ascending(dtype="float32", name=f"{name}_ascending")(logits)


def pinball(y_true: Tensor, y_pred: Tensor, levels: Sequence[float]) -> Tensor:
    """Returns the pinball loss of each quantile, `(batch, ..., levels)`.

    Raises:
        ValueError: If labels or predictions have another last axis.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_pred.shape[-1] != len(levels):
        raise ValueError(
            f"there are {len(levels)} levels of quantiles, and predictions have the shape "
            f"{tuple(y_pred.shape)}; their last axis holds one quantile per level."
        )
    if len(y_true.shape) < len(y_pred.shape):
        y_true = ops.expand_dims(y_true, -1)
    if y_true.shape[-1] != 1:
        raise ValueError(
            f"labels have the shape {tuple(y_true.shape)}; expected one number, of which "
            f"{len(levels)} quantiles are predicted."
        )
    error = ops.cast(y_true, y_pred.dtype) - y_pred
    shares = ops.convert_to_tensor(list(levels), y_pred.dtype)
    return ops.maximum(shares * error, (shares - 1.0) * error)


@keras.saving.register_keras_serializable(package="keras_mtl")
class Pinball(keras.losses.Loss):
    """Computes the mean pinball loss of the quantiles of a number.

    With the label y, the quantile q of the level t, and e = y - q:

        max(t e, (t - 1) e)

    Its mean is smallest where the share t of the labels lies below q. It is the loss of
    `Task.quantiles`.

    Args:
        levels: The levels of the quantiles, in the order of the prediction's last axis.
        name: Name of the loss.

    Call arguments:
        y_true: Numbers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Quantiles `(batch, ..., levels)`.

    Example:
        >>> loss = Pinball([0.1, 0.5, 0.9])
        >>> round(float(loss(ops.array([3.0]), ops.array([[1.0, 2.5, 4.0]]))), 4)
        0.1833

    Reference:
        Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.
    """

    label_kind: ClassVar[str] = "quantiles"
    reading: ClassVar[Reading] = Reading("last axis", takes_zero=True)

    def __init__(self, levels: Sequence[float], name: str = "pinball") -> None:
        super().__init__(name=name)
        self.levels = tuple(float(level) for level in levels)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each number."""
        return ops.mean(pinball(y_true, y_pred, self.levels), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"levels": list(self.levels), "name": self.name}
