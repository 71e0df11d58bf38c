"""Signatures that share what they compute alike: it is traced once, not once per signature."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nodes_above, run_in_mode, walk
from keras_mtl._types import Tensor


class SharedPart:
    """Computes the part of a network that all of some outputs depend on.

    It takes about a millisecond to trace a layer, and an encoder of a hundred columns has hundreds
    of them. With a signature per task, nearly all of the time of an export went by in tracing. Here
    the graphs of the signatures call one function, which is traced once. Each of them runs exactly
    the layers that its own outputs depend on: the function has no others.

    Args:
        inputs: The inputs that the outputs depend on, by name.
        outputs: The outputs, by task.

    Attributes:
        specs: The specs of the inputs, by name.
    """

    def __init__(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        common = _common_nodes(outputs.values())

        def is_shared(node: Any) -> bool:
            return node.is_input or id(node) in common

        # The tensors of the shared part that other layers read, masks among them, or that are
        # outputs.
        steps = walk(outputs.values(), enter=lambda node: not is_shared(node))
        self._ends = list(
            {id(tensor): tensor for tensor, node in steps if is_shared(node)}.values()
        )
        part = keras.Function(list(inputs.values()), self._ends)
        self.specs = {
            name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name)
            for name, tensor in inputs.items()
        }
        compute = tf.function(
            lambda *values: run_in_mode(part, list(values), training=False), autograph=False
        )
        self._compute = compute.get_concrete_function(*self.specs.values())

    def run(self, values: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the predictions of some of the outputs.

        Args:
            values: The values of the inputs, by name.
            outputs: The symbolic outputs, by task.
        """
        ends = self._compute(*(values[name] for name in self.specs))
        # A mask is an input of the layers that read it, as any other tensor is.
        rest = keras.Function(self._ends, dict(outputs))
        predictions: dict[str, Tensor] = run_in_mode(rest, ends, training=False)
        return predictions


def _common_nodes(outputs: Iterable[Tensor]) -> set[int]:
    """Returns the identities of the nodes that every one of some outputs depends on."""
    nodes = [{id(node) for node in nodes_above([output])} for output in outputs]
    return set.intersection(*nodes)
