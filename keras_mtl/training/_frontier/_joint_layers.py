"""Layers that compute the towers of several tasks together."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl._keras_internals import position_of, walk
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._variable_slice import VariableSlice


@dataclasses.dataclass(frozen=True)
class JointLayer:
    """Holds a call of a layer whose output i uses only input i and entry i of its variables.

    There is one input, one output and one entry for each of several tasks (`layers.Towers`).

    Attributes:
        node: The call of the layer in the graph.
        tasks: The task of each input and output.
    """

    node: Any
    tasks: tuple[str, ...]

    def input_of(self, name: str) -> Tensor:
        """Returns the symbolic tensor that the layer reads for a task."""
        tensor: Tensor = self.node.input_tensors[self.tasks.index(name)]
        return tensor

    def output_of(self, name: str) -> Tensor:
        """Returns the symbolic output of the layer for a task."""
        tensor: Tensor = self.node.output_tensors[self.tasks.index(name)]
        return tensor

    def run(self, inputs: Sequence[Tensor], training: bool | None) -> list[Tensor]:
        """Calls the layer on one input per task, and returns one output per task."""
        mode = {} if training is None else {"training": training}
        return list(self.node.operation(list(inputs), **mode))

    def slices(self, name: str) -> list[VariableSlice]:
        """Returns a task's entry of each trainable variable."""
        index = self.tasks.index(name)
        variables = self.node.operation.trainable_variables
        return [VariableSlice(variable, index) for variable in variables]


def find_joint_layers(
    outputs: Mapping[str, Tensor], users: Mapping[int, tuple[Any, set[str]]]
) -> dict[int, JointLayer]:
    """Finds the layers that compute the towers of several tasks together, by identity of the node.

    Each output of such a layer leads to the prediction of one task, and this prediction depends
    on the network's inputs through that output only. All outputs of the layer are used.

    Args:
        outputs: The outputs that are tasks.
        users: Every node of the graph, by identity, with the tasks that depend on it.
    """
    calls = Counter(id(node.operation) for node, _ in users.values())
    uses = Counter(
        id(variable)
        for node, _ in users.values()
        for variable in getattr(node.operation, "weights", [])
    )
    # A layer that is called twice, or shares a variable, mixes its tasks in the gradients: it stays
    # an ordinary node.
    joint_layers = {}
    for key, (node, tasks) in users.items():
        layer = node.operation
        if not getattr(layer, "branchwise", False) or calls[id(layer)] > 1:
            continue
        if len(tasks) < 2 or any(uses[id(variable)] > 1 for variable in layer.weights):
            continue
        positions = {name: _positions(outputs[name], node) for name in tasks}
        task_at = {place: name for name, places in positions.items() for place in places}
        # One output per task, and one task per output.
        one_each = all(len(places) == 1 for places in positions.values())
        if one_each and len(tasks) == len(task_at) == len(node.output_tensors):
            joint_layers[key] = JointLayer(node, tuple(task_at[i] for i in sorted(task_at)))
    return joint_layers


def _positions(output: Tensor, node: Any) -> set[int]:
    """Returns the outputs of a node that a prediction is computed from.

    Empty if the prediction also depends on an input of the network in another way.
    """
    positions: set[int] = set()
    for tensor, visited in walk([output], enter=lambda visited: visited is not node):
        if visited is node:
            positions.add(position_of(tensor))
        elif visited.is_input:
            return set()
    return positions
