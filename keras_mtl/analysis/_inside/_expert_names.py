"""Names of the experts in a stack, read from the graph."""

from typing import Any

import keras

from keras_mtl._keras_internals import node_of, operations_after
from keras_mtl._types import Tensor
from keras_mtl.layers import ExpertNormalization, StackBranches, StopGradient

# Layers that keep the experts of a stack apart, and in their order.
_PASSING = (
    ExpertNormalization,
    StopGradient,
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Identity,
)


def name_experts(stack: Tensor) -> list[str]:
    """Returns a name for each expert of a stack `(batch, ..., num_experts, units)`.

    It is the name of the layer that makes or stacks the experts and the position there, such as
    `shared_experts/2`; of an expert in several stacks, the name of its last layer. So an expert has
    the same name in all stacks, and gates over different stacks can be compared.
    """
    node = node_of(stack)
    operation = node.operation
    if isinstance(operation, _PASSING) and len(node.input_tensors) >= 1:
        return name_experts(node.input_tensors[0])
    if isinstance(operation, StackBranches):
        return [
            _name_branch(branch, f"{operation.name}/{i}")
            for i, branch in enumerate(node.arguments.args[0])
        ]
    if _joins_experts(node, stack):
        return [name for part in node.arguments.args[0] for name in name_experts(part)]
    return [f"{operation.name}/{i}" for i in range(stack.shape[-2])]


def _name_branch(branch: Tensor, name: str) -> str:
    """Returns the name of an expert's last layer if it stands in several stacks, else `name`.

    Layers of recipes have names that Keras counts on, which change from network to network.
    """
    layer = node_of(branch).operation
    readers = operations_after(layer, enter=lambda operation: False)
    stacks = sum(isinstance(reader, StackBranches) for reader in readers)
    return str(layer.name) if stacks > 1 else name


def _joins_experts(node: Any, stack: Tensor) -> bool:
    """Returns whether a call joins stacks along the axis of experts.

    Keras exports no class of `keras.ops.concatenate` (docs/keras_notes.md, pain 92).
    """
    if type(node.operation).__name__ != "Concatenate" or not node.arguments.args:
        return False
    return node.operation.axis in (-2, len(stack.shape) - 2)
