"""Copies of what some outputs need of a graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._types import Tensor
from keras_mtl.export._cutting._layer_copies import LayerCopies
from keras_mtl.export._cutting._remake import WHOLE, Need, Remake, Step


class Cut(Remake):
    """Copies what some outputs need of a graph, with batched layers cut down to it.

    Args:
        outputs: The outputs.
        copies: Copies the layers; shared with the models inside of the graph.
        calls: How often each operation is called, by its identity. A layer that is called several
            times is not narrowed, since its calls may need different branches.
        rules: Functions from this object and a call, of whose outputs it is known what is needed,
            to the step that makes as much, or to `None` if the rule does not apply.
    """

    def __init__(
        self,
        outputs: Sequence[Tensor],
        copies: LayerCopies,
        calls: Mapping[int, int],
        rules: Sequence["Rule"],
    ) -> None:
        super().__init__(outputs)
        self.copies = copies
        self.calls = calls
        self.rules = rules
        self.plan()

    def step_of(self, node: Any) -> Step:
        """Returns how a call is made: a part of it, if one of the rules knows which."""
        for rule in self.rules:
            step = rule(self, node)
            if step is not None:
                return step
        # All of it: its readers have to know if they need a part only.
        tensors = [*node.input_tensors, *node.output_tensors]
        return Step([(t, WHOLE) for t in tensors], lambda: self.call(node))

    def call(self, node: Any, inputs: Any = None) -> None:
        """Calls the copy of the operation of a call, and enters its outputs.

        Args:
            node: The call.
            inputs: The new first argument; by default that which stands for the old one.
        """
        args, kwargs = self.renew((node.arguments.args, node.arguments.kwargs))
        if inputs is not None:
            args = (inputs, *args[1:])
        outputs = [tensor for tensor in node.output_tensors if id(tensor) in self.needs]
        self.enter(outputs, self.copies.call(node.operation, args, kwargs))

    def enter(self, tensors: Sequence[Tensor], outputs: Any) -> None:
        """Enters new tensors for old ones."""
        for tensor, output in zip(tensors, keras.tree.flatten(outputs), strict=True):
            self.new_tensors[id(tensor)] = output

    def renew(self, structure: Any) -> Any:
        """Replaces old tensors in a structure by new ones; those that are not made stay."""
        return keras.tree.map_structure(
            lambda x: self.new_tensors.get(id(x), x) if isinstance(x, keras.KerasTensor) else x,
            structure,
        )

    def places(self, tensor: Tensor, axis: int) -> list[int]:
        """Returns the places along an axis of an old tensor that the new one has."""
        places = self.needs[id(tensor)].places(tensor)
        return [*range(tensor.shape[axis])] if places is None else places

    def part(self, node: Any, axis: int) -> Need | None:
        """Returns the need of the output of a call, if it is a part along an axis."""
        output, *further = node.output_tensors
        need = self.needs.get(id(output), WHOLE)
        is_part = not further and not need.whole and need.axis == axis
        return need if is_part and need.places(output) is not None else None

    def tie(self, tensors: Sequence[Tensor], need: Need) -> list[tuple[Tensor, Need]]:
        """Returns the need of tensors of the same branches: what is needed of any of them."""
        for tensor in tensors:
            need = need | self.needs.get(id(tensor), need)
        return [(tensor, need) for tensor in tensors]


Rule: TypeAlias = Callable[[Cut, Any], Step | None]
