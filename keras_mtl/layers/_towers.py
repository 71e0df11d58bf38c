"""The towers of several tasks, computed together."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Initializer, Tensor
from keras_mtl.layers._initializers import distinct_initializers, stack_initializers
from keras_mtl.layers._masks import input_masks
from keras_mtl.layers._narrowing import built_shape, narrowed


@keras.saving.register_keras_serializable(package="keras_mtl")
class Towers(keras.layers.Layer):
    """Runs a separate perceptron for each of several tasks, all of the same shape.

    In each layer of a tower `i`, `x_i` becomes `activation(x_i W_i + b_i)`. `Experts` read the
    same features, and their outputs stay in one tensor; each tower reads its own features, and
    has its own output. One layer holds all towers, and one variable holds the kernels of all, so
    that fifty tasks are built, traced and updated at the cost of a few. `BalancedModel` knows
    that each tower's part of a variable belongs to one task only. Choose separate dense layers
    where there are few tasks, or where their towers differ. A network that serves one output
    computes all towers; `export.single_task` cuts out those of the tasks that are served.
    `keras.Model.quantize` leaves the layer in float.

    Args:
        units: Sizes of a tower's layers, at least one layer.
        activation: Activation of all layers but the last. Defaults to `"relu"`.
        last_activation: Activation of the last layer. Defaults to none.
        kernel_initializer: Initializer of each tower's kernel `(in, units)`. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: A list of floats `(batch, ..., in)`, one tensor for each tower, of one shape.
            Each output keeps the mask of its features.

    Returns:
        A list of floats `(batch, ..., units[-1])`, in the order of the features.

    Raises:
        ValueError: If a size is not a positive integer, if there is no layer, if the features
            differ in shape, or if their last axis is not known.

    Example:
        >>> towers = Towers((16, 1))
        >>> [output.shape for output in towers([keras.Input((5,)), keras.Input((5,))])]
        [(None, 1), (None, 1)]
        >>> tuple(towers.kernels[0].shape)  # towers, in, units
        (2, 5, 16)
    """

    branchwise = True
    """Output i depends on input i alone, and on entry i of each variable's first axis."""

    def __init__(
        self,
        units: Sequence[int],
        activation: Activation = "relu",
        last_activation: Activation = None,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
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
        """Makes a kernel `(towers, in, units)` and a bias `(towers, units)` per layer."""
        first = tuple(input_shape[0])
        if first[-1] is None or any(tuple(shape) != first for shape in input_shape):
            raise ValueError(
                f"{self.name}: expected a list of features of one shape whose last axis is known; "
                f"received the shapes {input_shape}."
            )
        num_towers = len(input_shape)
        draws = distinct_initializers(self.kernel_initializer, num_towers * len(self.units))
        self.kernels, self.biases = [], []
        for i, (size, units) in enumerate(zip((first[-1], *self.units), self.units, strict=False)):
            kernel = self.add_weight(
                name=f"kernel_{i}",
                shape=(num_towers, size, units),
                initializer=stack_initializers(
                    draws[i * num_towers : (i + 1) * num_towers], axis=0
                ),
            )
            bias = self.add_weight(
                name=f"bias_{i}", shape=(num_towers, units), initializer=self.bias_initializer
            )
            self.kernels.append(kernel)
            self.biases.append(bias)

    def call(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Applies `activation(x_i W_i + b_i)` layer by layer to the features `x_i` of tower i."""
        # One product per tower: a batched product would first copy all features into one tensor,
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
        """Returns `(batch, ..., units[-1])` for each tower."""
        return [(*shape[:-1], self.units[-1]) for shape in input_shape]

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> list[Tensor | None]:
        """Returns the masks of the inputs, one per output."""
        return input_masks(inputs, previous_mask)

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the towers."""
        shapes = built_shape(self)
        # The first axis of each variable is that of the towers.
        return narrowed(self, [shapes[i] for i in indices], lambda _, values: values[[*indices]])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": list(self.units),
            "activation": keras.activations.serialize(self.activation),
            "last_activation": keras.activations.serialize(self.last_activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
