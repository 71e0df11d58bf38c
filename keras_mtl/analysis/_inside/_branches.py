"""Which branch of a stack, or which of several outputs, a task's output depends on."""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_mtl._keras_internals import node_of, position_of
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._core import past_towers
from keras_mtl.layers import PickBranch, StopGradient

# Layers that keep the branches of a stack (batch, ..., branches, units) apart.
_PASSING = (
    StopGradient,
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
)


def read_branches(
    tensor: Tensor, is_end: Callable[[Any], bool], branch: int | None = None
) -> Iterator[tuple[Any, int | None]]:
    """Walks from a tensor towards the inputs, up to calls that end the walk.

    Args:
        tensor: Where to begin.
        is_end: Whether a node ends the walk.
        branch: The branch of the tensor that is read, where it is a stack.

    Yields:
        Pairs of such a node, and the branch of its output that is read: a position in the stack
        that it makes, or among several outputs. `None` if all of it may be read.
    """
    visited = set()
    pending = [(tensor, branch)]
    while pending:
        tensor, branch = pending.pop()
        tensor = past_towers(tensor)
        node = node_of(tensor)
        if len(node.output_tensors) > 1 and is_end(node):
            branch = position_of(tensor)
        if (id(node), branch) in visited:
            continue
        visited.add((id(node), branch))
        if is_end(node):
            yield node, branch
        elif isinstance(node.operation, PickBranch):
            pending.append((node.input_tensors[0], node.operation.index))
        else:
            kept = branch if isinstance(node.operation, _PASSING) else None
            pending.extend((source, kept) for source in node.input_tensors)
