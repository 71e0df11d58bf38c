"""The logit of the probability that all events of a chain happen."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class JointLogit(keras.layers.Layer):
    """Computes the logit of a product of probabilities, such as of a click and a purchase after it.

    With logits `a_i` of `p_i`, each the probability of an event given the events before it, all
    events happen with probability `p = p_1 p_2 ...`, and

        s = sum_i log(1 + exp(-a_i)) = -log p
        logit = log p - log(1 - p) = -s - log(1 - exp(-s)).

    A cross-entropy that is computed from this logit stays exact where the product itself, which
    is often below 1e-6, would be lost by rounding or clipping.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        logits: A list of logits of equal shape. The first mask among them is passed on.

    Returns:
        Logits of that shape.

    Example:
        >>> click, conversion = ops.array([[0.0]]), ops.array([[-1.0]])
        >>> logit = JointLogit()([click, conversion])
        >>> round(float(ops.sigmoid(logit)[0, 0]), 6)  # 0.5 * 0.268941
        0.134471
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, logits: Sequence[Tensor]) -> Tensor:
        """Computes `-s - log(1 - exp(-s))` with `s = sum_i log(1 + exp(-a_i))`."""
        surprise = ops.sum(ops.stack([ops.softplus(-logit) for logit in logits]), axis=0)  # s
        surprise = ops.maximum(surprise, 1e-30)  # s is 0 where all events are certain: log(0)
        return -surprise - ops.log(-ops.expm1(-surprise))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of one of the logits."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)
