"""Batch normalization of each expert separately."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._narrowing import built_shape, narrowed, with_branches


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExpertNormalization(keras.layers.Layer):
    """Normalizes every feature of every expert over the batch, so that no expert outweighs others.

    `keras.layers.BatchNormalization` over the last axis would use one mean and one variance for
    all experts. On several replicas statistics are those of a replica, as in Keras, and under
    `BalancedModel` those of the global batch.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        experts: Floats `(batch, ..., num_experts, units)`. A mask is passed on, and positions
            that it hides do not enter the statistics.
        training: Whether to use the statistics of the batch.

    Returns:
        Floats of the same shape.

    Raises:
        ValueError: If one of the last two axes of the experts is not known.

    Example:
        >>> layer = ExpertNormalization()
        >>> layer(keras.Input((4, 8))).shape
        (None, 4, 8)
        >>> layer.normalization.gamma.shape  # num_experts x units
        TensorShape([32])
    """

    branched_inputs = (0,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.normalization = keras.layers.BatchNormalization(
            dtype=self.dtype_policy, name="normalization"
        )

    def build(self, input_shape: Any) -> None:
        """Makes a mean, a variance, a scale and a shift for each feature of each expert."""
        if len(input_shape) < 3 or None in input_shape[-2:]:
            raise ValueError(
                f"{self.name}: expected experts (batch, ..., num_experts, units) whose last two "
                f"axes are known; received the shape {input_shape}."
            )
        self.normalization.build((*input_shape[:-2], input_shape[-2] * input_shape[-1]))

    def call(
        self, experts: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Normalizes experts `(batch, ..., num_experts, units)`."""
        shape = ops.shape(experts)
        # batch, ..., num_experts * units: every feature of every expert is a channel.
        flat = ops.reshape(experts, (*shape[:-2], shape[-2] * shape[-1]))
        return ops.reshape(self.normalization(flat, training=training, mask=mask), shape)

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the experts."""
        shape = built_shape(self)
        num_experts, units = shape[-2:]
        return narrowed(
            self,
            with_branches(shape, len(indices)),
            lambda _, values: values.reshape(num_experts, units)[[*indices]].reshape(-1),
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the experts."""
        return tuple(input_shape)
