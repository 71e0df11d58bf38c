"""The layer at which the columns of one task part, and the gradients that it gives."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import node_of
from keras_mtl._tasks import InverseScale
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._joint_layers import JointLayer

# Functions of one number: with any of them, a column depends on its own numbers alone. (Softmax,
# for one, mixes columns.)
_ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("softplus", "softsign", "sigmoid", "hard_sigmoid", "log_sigmoid", "tanh", "exponential"),
)
_ELEMENTWISE = {keras.activations.get(name) for name in _ACTIVATIONS}
_ELEMENTWISE_LAYERS = (
    *(keras.layers.Activation, keras.layers.Dropout, keras.layers.Identity),
    *(keras.layers.LeakyReLU, keras.layers.ReLU, InverseScale),
)


@dataclasses.dataclass(frozen=True)
class ColumnLayer(JointLayer):
    """Holds a call of the layer from which on each column of a task uses its own numbers only.

    One pass for all columns gives the gradient of each column with respect to the layer's input.
    With respect to the layer's output, a column's gradient is its own part of the gradient of the
    sum of all columns, and from the output back to the input leads one linear map.

    Attributes:
        inputs: The letters of the layer's input in an einsum; batch axes may be an ellipsis.
        kernel: The letters of its kernel.
        outputs: The letters of its output.
        axis: The letter that runs over columns.
    """

    inputs: str
    kernel: str
    outputs: str
    axis: str

    def run_in_two_steps(self, features: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        """Returns the layer's output before its activation, and after.

        The gradient is taken before the activation, because losses of probabilities read the
        logits and not the output of the activation (docs/keras_notes.md, pain 21).
        """
        mode = {} if training is None else {"training": training}
        with _linear(self.node.operation) as activation:
            before = self.node.operation(features, **mode)
        return before, activation(before)

    def rows(self, gradient: Tensor) -> Tensor:
        """Returns the gradient of each column with respect to the layer's input, `[columns, ...]`.

        Args:
            gradient: The gradient of the sum of all columns with respect to the output before
                the activation.
        """
        kernel = tf.cast(self.node.operation.kernel, gradient.dtype)
        # The letter of the columns stays in the result, so that no sum runs over columns.
        equation = f"{self.outputs},{self.kernel}->{self.axis}{self.inputs}"
        return tf.einsum(equation, gradient, kernel)


@contextlib.contextmanager
def _linear(layer: Any) -> Iterator[Any]:
    """Removes a layer's activation inside of the context, and yields it."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        yield activation
    finally:
        layer.activation = activation


def find_column_layer(output: Tensor, name: str) -> ColumnLayer | None:
    """Finds the layer at which the columns of a task part; `None` where none is seen.

    It is a `Dense` layer with one unit per column, or an `EinsumDense` whose kernel brings in the
    axis of the columns. Between it and the output there is nothing but `EinsumDense` layers that
    keep the columns apart, and elementwise layers.

    Args:
        output: The task's output, columns along its last axis.
        name: The task.
    """
    position = len(output.shape) - 1  # of the columns' axis
    # From the output towards the inputs, as long as the columns stay apart.
    while True:
        node = node_of(output)
        operation = node.operation
        if node.is_input or len(node.input_tensors) != 1 or len(node.output_tensors) != 1:
            return None
        if getattr(operation, "activation", keras.activations.linear) not in _ELEMENTWISE:
            return None
        if getattr(operation, "activity_regularizer", None) is not None:
            return None
        if _computes_as(operation, keras.layers.Dense):
            # Another axis than the last one is a batch axis for a Dense layer: columns would not
            # part here.
            is_last = position == len(output.shape) - 1
            return ColumnLayer(node, (name,), "...i", "ik", "...k", "k") if is_last else None
        if _computes_as(operation, keras.layers.EinsumDense):
            if "." in operation.equation:  # an ellipsis, whose axes have no letters
                return None
            inputs, kernel, outputs = operation.equation.replace("->", ",").split(",")
            axis = outputs[position]
            if axis not in inputs:  # the kernel brings in the columns
                return ColumnLayer(node, (name,), inputs, kernel, outputs, axis)
            position = inputs.index(axis)  # the kernel keeps them apart: go on towards the inputs
        elif not _computes_as(operation, *_ELEMENTWISE_LAYERS):
            return None
        output = node.input_tensors[0]


def _computes_as(operation: Any, *layers: type[keras.layers.Layer]) -> bool:
    """Returns whether a layer computes what one of these does; a subclass may compute anything."""
    return any(
        isinstance(operation, layer) and type(operation).call is layer.call for layer in layers
    )
