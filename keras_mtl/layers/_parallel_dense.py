"""Separate dense layers for several branches, computed together."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Initializer, Tensor
from keras_mtl.layers._initializers import distinct_initializers, stack_initializers
from keras_mtl.layers._narrowing import (
    built_shape,
    narrowed,
    take_branches,
    with_branches,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class ParallelDense(keras.layers.Layer):
    """Applies a separate dense layer to each of several branches: `y_i = a(x_i W_i + b_i)`.

    It continues where `Experts` ends: there all experts read the same features, here each
    branch reads its own features. One batched matrix product serves all branches, and each
    kernel starts as the kernel of a separate dense layer would. `keras.Model.quantize` leaves the
    layer in float.

    Args:
        units: Size of each branch's output.
        activation: `a`. Defaults to none.
        use_bias: Whether the dense layers have biases. Defaults to `True`.
        kernel_initializer: Initializer of each branch's kernel `(in, units)`. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        branches: Floats `(batch, ..., num_branches, in)`. A mask over the middle axes is
            passed on.

    Returns:
        Floats `(batch, ..., num_branches, units)`.

    Raises:
        ValueError: If `units` is not a positive integer, or one of the last two axes of the
            branches is not known.

    Example:
        >>> layer = ParallelDense(8, "relu")
        >>> layer(keras.Input((3, 5))).shape
        (None, 3, 8)
        >>> tuple(layer.kernel.shape)  # in, num_branches, units
        (5, 3, 8)
    """

    branched_inputs = (0,)

    def __init__(
        self,
        units: int,
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if type(units) is not int or units < 1:
            raise ValueError(f"{self.name}: units must be a positive integer; received {units!r}.")
        self.supports_masking = True
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        """Makes a kernel `(in, num_branches, units)` and a bias `(num_branches, units)`."""
        if len(input_shape) < 3 or None in input_shape[-2:]:
            raise ValueError(
                f"{self.name}: expected branches (batch, ..., num_branches, in) whose last two "
                f"axes are known; received the shape {input_shape}."
            )
        num_branches, size = input_shape[-2:]
        draws = distinct_initializers(self.kernel_initializer, num_branches)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, num_branches, self.units),
            initializer=stack_initializers(draws),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(num_branches, self.units), initializer=self.bias_initializer
            )

    def call(self, branches: Tensor) -> Tensor:
        """Computes `y_i = a(x_i W_i + b_i)` for branches `(batch, ..., num_branches, in)`."""
        size, num_branches, units = self.kernel.shape
        leading = ops.shape(branches)[:-2]
        x = ops.reshape(branches, (-1, num_branches, size))  # positions, branches, in
        x = ops.transpose(x, (1, 0, 2))  # branches, positions, in
        x = ops.matmul(x, ops.transpose(self.kernel, (1, 0, 2)))  # branches, positions, units
        x = ops.transpose(x, (1, 0, 2))  # positions, branches, units
        x = self.activation(ops.add(x, self.bias) if self.use_bias else x)
        return ops.reshape(x, (*leading, num_branches, units))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_branches, units)`."""
        return (*input_shape[:-1], self.units)

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the branches."""
        shape = with_branches(built_shape(self), len(indices))
        return narrowed(self, shape, take_branches(indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
