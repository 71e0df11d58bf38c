"""The head and the loss of amounts that are 0 for many and log-normal for the others."""

import dataclasses
import math
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import is_shape_inference, logits_of, with_parameters
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor

_SMALLEST_SPREAD = 1e-3
_LARGEST_EXPONENT = 80.0  # exp(88.7) is infinite in float32


def read_numbers(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the logit of an amount, and mean and spread of its logarithm, each `(batch, ...)`."""
    spread = ops.maximum(ops.softplus(numbers[..., 2]), _SMALLEST_SPREAD)
    return numbers[..., 0], numbers[..., 1], spread


@keras.saving.register_keras_serializable(package="keras_mtl")
class ZeroInflatedMean(keras.layers.Layer):
    """Turns three numbers into the mean of a zero-inflated log-normal distribution.

    With the probability p = sigmoid(z_1) of an amount, the mean m = z_2 and the spread
    s = max(softplus(z_3), 0.001) of its logarithm:

        p exp(m + s^2 / 2)

    The three numbers stay beside the mean, and the loss reads those.

    Call arguments:
        numbers: Floats `(batch, ..., 3)`.

    Returns:
        Floats `(batch, ..., 1)`.

    Raises:
        ValueError: If the last axis has another size.

    Example:
        >>> round(float(ZeroInflatedMean()(ops.array([[0.5, 1.0, 0.3]]))[0, 0]), 4)
        2.4373
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that there are three numbers."""
        if input_shape[-1] != 3:
            raise ValueError(f"{self.name}: expected (batch, ..., 3); received {input_shape}.")

    def call(self, numbers: Tensor) -> Tensor:
        """Computes the mean, and keeps the numbers for the loss."""
        logit, mean, spread = read_numbers(numbers)
        exponent = ops.minimum(mean + 0.5 * ops.square(spread), _LARGEST_EXPONENT)
        return with_parameters(ops.expand_dims(ops.sigmoid(logit) * ops.exp(exponent), -1), numbers)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input with a last axis of length 1."""
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class ZeroInflatedHead(Head):
    """Ends a tower in the mean of a zero-inflated log-normal distribution.

    Args:
        units: 1, the mean.
        activation: A name for messages.

    Example:
        >>> ZeroInflatedHead().num_logits
        3
    """

    units: int = 1
    activation: str = "zero_inflated"

    @property
    def num_logits(self) -> int:
        """The size of the dense map: a logit, a mean and a spread."""
        return 3

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Maps three numbers `(batch, ..., 3)` to the mean."""
        return ZeroInflatedMean(dtype="float32", name=f"{name}_zero_inflated")(logits)


@keras.saving.register_keras_serializable(package="keras_mtl")
class ZeroInflatedLogNormal(keras.losses.Loss):
    """Computes the negative log-likelihood of amounts that are 0 or log-normal.

    With the label y, the probability p of an amount, and mean m and spread s of its logarithm:

        y = 0:  -log(1 - p)
        y > 0:  -log p + log y + log s + log(2 pi) / 2 + (log y - m)^2 / (2 s^2)

    It is the loss of `Task.zero_inflated`. Predictions hold the mean alone, from which the loss
    cannot be computed: it reads the three numbers that the head keeps beside it.

    Args:
        name: Name of the loss.

    Call arguments:
        y_true: Amounts of at least 0, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: The output of a network that ends in this task's head, `(batch, ..., 1)`.

    Raises:
        ValueError: If a prediction has lost the three numbers.

    Example:
        >>> prediction = ZeroInflatedMean()(ops.array([[0.5, 1.0, 0.3]]))
        >>> round(float(ZeroInflatedLogNormal()(ops.array([10.0]), prediction)), 4)
        4.7005

    Reference:
        Wang, Liu and Miao, "A Deep Probabilistic Model for Customer Lifetime Value Prediction"
        (arXiv:1912.07753). Their code keeps the spread above the root of the machine epsilon; here
        it is kept above 0.001.
    """

    label_kind: ClassVar[str] = "number"
    is_likelihood: ClassVar[bool] = True
    reading: ClassVar[Reading] = Reading("last axis", takes_zero=True)

    def __init__(self, name: str = "zero_inflated") -> None:
        super().__init__(name=name)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each amount."""
        numbers = logits_of(y_pred)
        if numbers is None and is_shape_inference():
            numbers = ops.repeat(y_pred, 3, axis=-1)
        if numbers is None:
            raise ValueError(
                "the loss of a zero-inflated amount reads three numbers behind the predicted mean, "
                "and these predictions have lost them. Pass the output of the network itself, or "
                "take a metric of the mean: 'mae', 'rmse', 'spearman'."
            )
        logit, mean, spread = read_numbers(ops.cast(numbers, "float32"))
        amounts = ops.reshape(ops.cast(y_true, "float32"), ops.shape(logit))
        is_positive = amounts > 0.0
        occurs = ops.softplus(logit) - ops.where(is_positive, logit, 0.0)
        logs = ops.log(ops.where(is_positive, amounts, 1.0))
        density = logs + ops.log(spread) + 0.5 * math.log(2.0 * math.pi)
        density = density + 0.5 * ops.square((logs - mean) / spread)
        return occurs + ops.where(is_positive, density, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"name": self.name}
