"""Bottleneck adapters (Houlsby et al., 2019)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Initializer, Tensor
from keras_mtl.layers._initializers import distinct_initializers


@keras.saving.register_keras_serializable(package="keras_mtl")
class Adapter(keras.layers.Layer):
    """Adds the output of a narrow two-layer network to its features: `x + a(x D + d) U + u`.

    `D` `(in, units)` and `d` lead into the bottleneck, `a` is the activation, and `U`
    `(units, in)` and `u` lead back. The layer starts near the identity, so it may be put after
    any layer of a trained network.

    Args:
        units: Width of the bottleneck.
        activation: `a`. Defaults to `"relu"`.
        kernel_initializer: Initializer of both kernels, `D` and `U`. By default normal with a
            standard deviation of 0.01, truncated at two standard deviations.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: `x`, floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Features of the same shape.

    Raises:
        ValueError: If `units` is not a positive integer, or the last axis of the features is
            not known.

    Example:
        >>> Adapter(4)(keras.Input((None, 16))).shape
        (None, None, 16)

    Reference:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019,
        arXiv:1902.00751.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "relu",
        kernel_initializer: Initializer = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if type(units) is not int or units < 1:
            raise ValueError(f"{self.name}: units must be a positive integer; received {units!r}.")
        self.supports_masking = True
        self.units = units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or keras.initializers.TruncatedNormal(stddev=0.01)
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the kernels and biases into the bottleneck and back."""
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"{self.name}: the last axis of the features must be known; received the shape "
                f"{input_shape}."
            )
        down, up = distinct_initializers(self.kernel_initializer, 2)
        self.down_kernel = self.add_weight((size, self.units), down, name="down_kernel")
        self.down_bias = self.add_weight((self.units,), "zeros", name="down_bias")
        self.up_kernel = self.add_weight((self.units, size), up, name="up_kernel")
        self.up_bias = self.add_weight((size,), "zeros", name="up_bias")

    def call(self, features: Tensor) -> Tensor:
        """Computes `x + a(x D + d) U + u` for features `x` `(batch, ..., in)`."""
        narrow = self.activation(ops.matmul(features, self.down_kernel) + self.down_bias)
        return features + ops.matmul(narrow, self.up_kernel) + self.up_bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the features."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
