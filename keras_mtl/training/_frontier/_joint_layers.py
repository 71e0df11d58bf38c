"""Towers of several tasks that one layer of the network computes together."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl._keras_internals import position_of, walk
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._variable_slice import Slice


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A layer whose output i depends on input i and entry i of its variables, one for each task.

    Attributes:
        node: The layer's place in the graph.
        tasks: The task of each input and output.
    """

    node: Any
    tasks: tuple[str, ...]

    def begin(self, name: str) -> Tensor:
        """The symbolic tensor that the layer reads for a task."""
        begin: Tensor = self.node.input_tensors[self.tasks.index(name)]
        return begin

    def end(self, name: str) -> Tensor:
        """The symbolic tensor that the layer makes for a task."""
        end: Tensor = self.node.output_tensors[self.tasks.index(name)]
        return end

    def run(self, inputs: Sequence[Tensor], training: bool | None) -> list[Tensor]:
        """What the layer makes of an input for each task."""
        mode = {} if training is None else {"training": training}
        return list(self.node.operation(list(inputs), **mode))

    def slices(self, name: str) -> list[Slice]:
        """A task's entry of each trainable variable."""
        place = self.tasks.index(name)
        return [Slice(variable, place) for variable in self.node.operation.trainable_variables]


def find_bundles(
    outputs: Mapping[str, Tensor], users: Mapping[int, tuple[Any, set[str]]]
) -> dict[int, Bundle]:
    """The layers that compute the towers of several tasks together, by identity of the node.

    From such a layer on, what it makes for a task leads to that task's output alone, and
    nothing else does; and all that it makes is used.

    Args:
        outputs: The outputs that are tasks.
        users: Every node of the graph, by identity, with the tasks that depend on it.
    """
    calls = Counter(id(node.operation) for node, _ in users.values())
    variables = Counter(
        id(variable)
        for node, _ in users.values()
        for variable in getattr(node.operation, "weights", [])
    )
    bundles = {}
    for key, (node, tasks) in users.items():
        layer = node.operation
        if not getattr(layer, "branchwise", False) or calls[id(layer)] > 1:
            continue
        if len(tasks) < 2 or any(variables[id(each)] > 1 for each in layer.weights):
            continue
        places = {name: _places(outputs[name], node) for name in tasks}
        by_place = {place: name for name, found in places.items() for place in found}
        alone = all(len(found) == 1 for found in places.values())
        if alone and len(tasks) == len(by_place) == len(node.output_tensors):
            bundles[key] = Bundle(node, tuple(by_place[place] for place in sorted(by_place)))
    return bundles


def _places(output: Tensor, node: Any) -> set[int]:
    """Which tensors of a node an output is made of; none if of something else too."""
    places: set[int] = set()
    for tensor, above in walk([output], enter=lambda above: above is not node):
        if above is node:
            places.add(position_of(tensor))
        elif above.is_input:
            return set()
    return places
