"""Several perceptrons over the same features, computed together."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Initializer, Tensor
from keras_mtl.layers._initializers import distinct_initializers, stack_initializers
from keras_mtl.layers._narrowing import built_shape, narrowed, take_branches


@keras.saving.register_keras_serializable(package="keras_mtl")
class Experts(keras.layers.Layer):
    """Runs `num_experts` perceptrons of the same shape over the same features.

    In each layer of an expert `e`, `x_e` becomes `activation(x_e W_e + b_e)`. One matrix product
    per layer serves all experts, so eight experts cost about as much as one dense layer of their
    joint width. Each expert starts as separate dense layers would: the initializer sees the
    kernel `(in, units)` of one expert, and an integer seed is spread over the experts, which
    would otherwise start, and stay, equal. Choose separate layers instead where experts differ
    in shape or need more than dense layers. `keras.Model.quantize` leaves the layer in float.

    Args:
        num_experts: The number of experts.
        units: Sizes of an expert's layers, at least one layer.
        activation: Activation of every layer. Defaults to `"relu"`.
        kernel_initializer: Initializer of each expert's kernel `(in, units)`. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
        use_bias: Whether the layers have biases. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., in)`. A mask over the middle axes is passed on.

    Returns:
        The experts' features, `(batch, ..., num_experts, units[-1])`.

    Raises:
        ValueError: If a size is not a positive integer, there is no layer, or the last axis of
            the features is not known.

    Example:
        >>> experts = Experts(4, (16, 8))
        >>> experts(keras.Input((5,))).shape
        (None, 4, 8)
        >>> tuple(experts.kernels[0].shape)  # in, num_experts, units
        (5, 4, 16)
    """

    branched_inputs = ()  # all experts read the same features

    def __init__(
        self,
        num_experts: int,
        units: Sequence[int],
        activation: Activation = "relu",
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_experts = num_experts
        self.units = tuple(units)
        sizes = (num_experts, *self.units)
        if len(sizes) < 2 or not all(_is_positive(size) for size in sizes):
            raise ValueError(
                f"{self.name}: num_experts and units are positive integers, and there is at "
                f"least one layer; received num_experts={num_experts!r}, units={units!r}."
            )
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.use_bias = use_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes a kernel `(in, num_experts, units)` and a bias `(num_experts, units)` per layer."""
        if input_shape[-1] is None:
            raise ValueError(
                f"{self.name}: the last axis of the features must be known; "
                f"received the shape {input_shape}."
            )
        num_experts = self.num_experts
        draws = distinct_initializers(self.kernel_initializer, num_experts * len(self.units))
        self.kernels, self.biases = [], []
        for i, (size, units) in enumerate(
            zip((input_shape[-1], *self.units), self.units, strict=False)
        ):
            kernel = self.add_weight(
                name=f"kernel_{i}",
                shape=(size, num_experts, units),
                initializer=stack_initializers(draws[i * num_experts : (i + 1) * num_experts]),
            )
            self.kernels.append(kernel)
            if self.use_bias:
                bias = self.add_weight(
                    name=f"bias_{i}", shape=(num_experts, units), initializer=self.bias_initializer
                )
                self.biases.append(bias)

    def call(self, features: Tensor) -> Tensor:
        """Applies `activation(x_e W_e + b_e)` layer by layer to features `(batch, ..., in)`."""
        leading = ops.shape(features)[:-1]
        size, num_experts, units = self.kernels[0].shape
        # In the first layer all experts read the same features: one product with a wide kernel.
        x = ops.reshape(features, (-1, size))  # positions, in
        x = ops.matmul(x, ops.reshape(self.kernels[0], (size, num_experts * units)))
        x = ops.reshape(x, (-1, num_experts, units))  # positions, experts, units
        x = self.activation(ops.add(x, self.biases[0]) if self.use_bias else x)
        if len(self.units) > 1:
            # In later layers each expert reads its own features: one batched product.
            x = ops.transpose(x, (1, 0, 2))  # experts, positions, units
            for i, kernel in enumerate(self.kernels[1:], start=1):
                x = ops.matmul(x, ops.transpose(kernel, (1, 0, 2)))  # kernel: experts, in, units
                bias = ops.expand_dims(self.biases[i], 1) if self.use_bias else 0.0
                x = self.activation(x + bias)
            x = ops.transpose(x, (1, 0, 2))  # positions, experts, units
        return ops.reshape(x, (*leading, num_experts, self.units[-1]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_experts, units[-1])`."""
        return (*input_shape[:-1], self.num_experts, self.units[-1])

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the experts."""
        return narrowed(self, built_shape(self), take_branches(indices), num_experts=len(indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "units": list(self.units),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "use_bias": self.use_bias,
        }


def _is_positive(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size > 0
