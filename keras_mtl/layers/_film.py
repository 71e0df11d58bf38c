"""Feature-wise linear modulation (Perez et al., 2018)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Initializer, Tensor
from keras_mtl.layers._masks import feature_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class FiLM(keras.layers.Layer):
    """Scales and shifts each channel by a linear function of a condition.

    Features `x` become `(1 + d) * x + b`, where `[d, b] = W c + w` holds a scale and a shift per
    channel for the condition `c`.

    Args:
        kernel_initializer: Initializer of `W`. Defaults to `"glorot_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: `[features, condition]`: floats `(batch, ..., units)`, and floats
            `(1, in)`, the same for all examples, or `(batch, in)`. The mask of the features is
            passed on.

    Returns:
        Features `(batch, ..., units)`.

    Example:
        >>> FiLM()([keras.Input((5, 6, 16)), keras.Input((8,))]).shape
        (None, 5, 6, 16)

    Reference:
        Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018,
        arXiv:1709.07871.
    """

    def __init__(self, kernel_initializer: Initializer = "glorot_uniform", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        """Makes the kernel `W` and the bias `w`, which map the condition to `[d, b]`."""
        features, condition = input_shape
        self.kernel = self.add_weight(
            name="kernel",
            shape=(condition[-1], 2 * features[-1]),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(2 * features[-1],), initializer="zeros")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `(1 + d) * x + b` from `[features, condition]`, with `[d, b] = W c + w`."""
        features, condition = inputs
        scale, shift = ops.split(ops.matmul(condition, self.kernel) + self.bias, 2, axis=-1)
        for _ in range(len(features.shape) - 2):
            scale, shift = ops.expand_dims(scale, 1), ops.expand_dims(shift, 1)
        # Both are now (batch or 1, 1, ..., units), with as many axes as the features.
        return (1 + scale) * features + shift

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the features."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the mask of the features."""
        return feature_mask(previous_mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "kernel_initializer": initializer}
