"""Where the columns of a task part, and what that tells of their gradients."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import node_of
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._joint_layers import Bundle

_ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("softplus", "softsign", "sigmoid", "hard_sigmoid", "log_sigmoid", "tanh", "exponential"),
)
_ENTRY_BY_ENTRY = {keras.activations.get(name) for name in _ACTIVATIONS}
_LAYERS = tuple(
    getattr(keras.layers, name)
    for name in ("Activation", "Dropout", "Identity", "LeakyReLU", "ReLU")
)


@dataclasses.dataclass(frozen=True)
class Spread(Bundle):
    """The layer from which on each column of a task depends on numbers of its own alone.

    A column's gradient with respect to what the layer reads follows from one pass for all of
    them: with respect to the layer's output it is nothing but the column's own part of that of
    the sum, and from there on there is one linear map.

    Attributes:
        inputs: The letters of the layer's input in an einsum; batch axes may be an ellipsis.
        kernel: Those of its kernel.
        outputs: Those of its output.
        column: The letter that runs over columns.
    """

    inputs: str
    kernel: str
    outputs: str
    column: str

    def run_apart(self, read: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        """What the layer makes of its input, before its activation and after.

        Losses of probabilities go back to the logits, past what the activation made.
        """
        mode = {} if training is None else {"training": training}
        with _linear(self.node.operation) as activation:
            before = self.node.operation(read, **mode)
        return before, activation(before)

    def rows(self, gradient: Tensor) -> Tensor:
        """The gradient of each column with respect to what the layer reads, `[K, ...]`.

        Args:
            gradient: That of the sum of all columns with respect to what it made, `before`.
        """
        kernel = tf.cast(self.node.operation.kernel, gradient.dtype)
        # A column's letter stays, so that no sum runs over columns.
        equation = f"{self.outputs},{self.kernel}->{self.column}{self.inputs}"
        return tf.einsum(equation, gradient, kernel)


@contextlib.contextmanager
def _linear(layer: Any) -> Iterator[Any]:
    """The layer without its activation, which is given."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        yield activation
    finally:
        layer.activation = activation


def find_spread(output: Tensor, name: str) -> Spread | None:
    """The layer that spreads what the columns of a task share; `None` where none is seen.

    It is a `Dense` layer with a unit a column, or an `EinsumDense` whose kernel brings in the
    axis of the columns; above it, there is nothing but `EinsumDense` layers that keep the columns
    apart, and what works entry by entry.

    Args:
        output: The task's output, columns along its last axis.
        name: The task.
    """
    place = len(output.shape) - 1
    while True:
        node = node_of(output)
        operation = node.operation
        if node.is_input or len(node.input_tensors) != 1 or len(node.output_tensors) != 1:
            return None
        if getattr(operation, "activation", keras.activations.linear) not in _ENTRY_BY_ENTRY:
            return None
        if getattr(operation, "activity_regularizer", None) is not None:
            return None
        if _is(operation, keras.layers.Dense):
            last = place == len(output.shape) - 1
            return Spread(node, (name,), "...i", "ik", "...k", "k") if last else None
        if _is(operation, keras.layers.EinsumDense):
            if "." in operation.equation:
                return None
            inputs, kernel, outputs = operation.equation.replace("->", ",").split(",")
            column = outputs[place]
            if column not in inputs:
                return Spread(node, (name,), inputs, kernel, outputs, column)
            place = inputs.index(column)
        elif not _is(operation, *_LAYERS):
            return None
        output = node.input_tensors[0]


def _is(operation: Any, *layers: type[keras.layers.Layer]) -> bool:
    """Whether it computes what one of these layers does: a subclass may compute anything."""
    return any(
        isinstance(operation, layer) and type(operation).call is layer.call for layer in layers
    )
