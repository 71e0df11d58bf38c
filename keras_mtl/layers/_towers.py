"""The towers of several tasks, computed together."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initial import spread, stacked


@keras.saving.register_keras_serializable(package="keras_mtl")
class Towers(keras.layers.Layer):
    """Runs a perceptron for each of several tasks, all of the same shape, side by side.

    `Experts` read the same features and stay together; towers read features of their own, and
    each ends in an output of its own. One layer makes all of them, and one variable holds the
    kernels of all, so that fifty tasks are built, traced and updated at the cost of a few.
    `BalancedModel` knows that a tower's part of each variable is its task's alone. Choose
    separate dense layers where tasks are few, their towers differ, or one task alone is to be
    served: what serves one output computes all towers.

    Args:
        units: Sizes of a tower's layers, at least one.
        activation: Activation of all layers but the last. Defaults to `"relu"`.
        last_activation: Activation of the last layer. Defaults to none.
        kernel_initializer: Initializer of one tower's kernel. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: A list of floats `(batch, ..., in)`, one tensor for each tower, of one shape.
            A mask over the axes in the middle is passed on.

    Returns:
        A list of floats `(batch, ..., units[-1])`, in the order of the features.

    Raises:
        ValueError: If a size is no positive integer, if the features differ in shape, or their
            last axis is not known.

    Example:
        >>> towers = Towers((16, 1))
        >>> [each.shape for each in towers([keras.Input((5,)), keras.Input((5,))])]
        [(None, 1), (None, 1)]
        >>> tuple(towers.kernels[0].shape)  # towers, in, units
        (2, 5, 16)
    """

    branchwise = True
    """Output i depends on input i alone, and on entry i of each variable's first axis."""

    def __init__(
        self,
        units: Sequence[int],
        activation: Any = "relu",
        last_activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = tuple(units)
        if not self.units or not all(type(size) is int and size > 0 for size in self.units):
            raise ValueError(
                f"{self.name}: units are positive integers, at least one; received {units!r}."
            )
        self.activation = keras.activations.get(activation)
        self.last_activation = keras.activations.get(last_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes a kernel `(towers, in, units)` and a bias `(towers, units)` for each layer."""
        first = tuple(input_shape[0])
        if first[-1] is None or any(tuple(shape) != first for shape in input_shape):
            raise ValueError(
                f"{self.name}: expected a list of features of one shape whose last axis is known; "
                f"received the shapes {input_shape}."
            )
        count = len(input_shape)
        draws = spread(self.kernel_initializer, count * len(self.units))
        self.kernels, self.biases = [], []
        for i, (size, units) in enumerate(zip((first[-1], *self.units), self.units, strict=False)):
            kernel = self.add_weight(
                name=f"kernel_{i}",
                shape=(count, size, units),
                initializer=stacked(draws[i * count : (i + 1) * count], axis=0),
            )
            bias = self.add_weight(
                name=f"bias_{i}", shape=(count, units), initializer=self.bias_initializer
            )
            self.kernels.append(kernel)
            self.biases.append(bias)

    def call(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps each of the features `(batch, ..., in)` by its own tower."""
        # A product for each tower: one batched product would first copy all features together,
        # and made steps 1.3 times as long on a CPU for 8, 16 and 50 towers.
        kernels = [ops.unstack(kernel) for kernel in self.kernels]
        biases = [ops.unstack(bias) for bias in self.biases]
        last = len(self.units) - 1
        outputs = []
        for tower, x in enumerate(features):
            for i in range(last + 1):
                x = ops.matmul(x, kernels[i][tower]) + biases[i][tower]
                x = (self.activation if i < last else self.last_activation)(x)
            outputs.append(x)
        return outputs

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> list[tuple[int | None, ...]]:
        """A `(batch, ..., units[-1])` for each tower."""
        return [(*shape[:-1], self.units[-1]) for shape in input_shape]

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Any:
        """The masks of the inputs."""
        return list(previous_mask) if previous_mask else [None] * len(inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": list(self.units),
            "activation": keras.activations.serialize(self.activation),
            "last_activation": keras.activations.serialize(self.last_activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
