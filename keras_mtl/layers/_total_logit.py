"""The logit of the total probability of an event that happens in one of two ways."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class TotalLogit(keras.layers.Layer):
    """Computes the logit of a total probability, such as of a purchase with or without a cart.

    `P(b) = P(a) P(b|a) + (1 - P(a)) P(b|not a)`, for example with `a` that an item was put in
    the cart and `b` that it was purchased. The layer reads the logits of `P(a)`, `P(b|a)` and
    `P(b|not a)` and returns `log P(b) - log(1 - P(b))`. Both logarithms are computed without
    rounding a small `P(b)` or `1 - P(b)` to 0.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        logits: `[a, b_given_a, b_given_not_a]`, of equal shape. The first mask among them is
            passed on.

    Returns:
        Logits of that shape.

    Example:
        >>> cart, with_cart, without = ops.array([[0.0]]), ops.array([[2.0]]), ops.array([[-2.0]])
        >>> round(float(TotalLogit()([cart, with_cart, without])[0, 0]), 6)  # (0.88 + 0.12) / 2
        0.0
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, logits: Sequence[Tensor]) -> Tensor:
        """Computes `log P(b) - log(1 - P(b))` from `[a, b_given_a, b_given_not_a]`."""
        condition, b_given_a, b_given_not_a = logits
        log_a, log_not_a = ops.log_sigmoid(condition), ops.log_sigmoid(-condition)

        def log_total(sign: float) -> Tensor:
            """Computes `log P(b)` where the sign is 1, and `log(1 - P(b))` where it is -1."""
            return ops.logaddexp(
                log_a + ops.log_sigmoid(sign * b_given_a),
                log_not_a + ops.log_sigmoid(sign * b_given_not_a),
            )

        return log_total(1.0) - log_total(-1.0)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of one of the logits."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)
