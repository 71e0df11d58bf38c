"""The walk through a graph that copies a part of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_mtl._keras_internals import ordered_nodes
from keras_mtl._types import Tensor


@dataclasses.dataclass(frozen=True)
class Need:
    """Says what is needed of a tensor.

    Attributes:
        whole: Whether all of it is needed.
        axis: The axis along which a part of it is needed: -1 or -2, which is that of branches.
        indices: The places of the part along this axis.
    """

    whole: bool = True
    axis: int = -2
    indices: frozenset[int] = frozenset()

    def __or__(self, other: "Need") -> "Need":
        """Returns the need of two readers; parts along two axes are the whole."""
        if not self.whole and not other.whole and self.axis == other.axis:
            return Need(False, self.axis, self.indices | other.indices)
        # Of a whole tensor, the branches that are needed are known, too.
        branches = [need.indices for need in (self, other) if need.axis == -2]
        return Need(indices=frozenset().union(*branches))

    def places(self, tensor: Tensor) -> list[int] | None:
        """Returns the places of the part in their order, or `None` if it is the whole tensor."""
        if self.whole or len(self.indices) == tensor.shape[self.axis]:
            return None
        return sorted(self.indices)


WHOLE = Need()


@dataclasses.dataclass(frozen=True)
class Step:
    """Says how one call of a graph is made anew.

    Attributes:
        reads: The tensors that it needs, and what of them.
        make: Computes its outputs from those tensors, all of which are made before.
    """

    reads: Sequence[tuple[Tensor, Need]]
    make: Callable[[], None]


class Remake:
    """Makes a part of a graph anew: what some outputs need.

    The walk goes back from the outputs and finds what is needed of each tensor; when it comes to a
    call, it has seen all that reads the call's outputs. Then it goes forward and makes each call.

    Attributes:
        nodes: The calls that the outputs depend on, each behind those that it reads.
        needs: What is needed of each tensor, by its identity. Other tensors are not made.
        new_tensors: The new tensors, by the identity of the old ones.
    """

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self.nodes = ordered_nodes(outputs)
        self.needs = {id(output): WHOLE for output in outputs}
        self.new_tensors: dict[int, Any] = {}
        self._steps: list[Step] = []

    def step_of(self, node: Any) -> Step:
        """Returns how a call is made anew; each subclass defines its own.

        Args:
            node: The call, whose outputs are needed as `needs` says.
        """
        raise NotImplementedError

    def plan(self) -> None:
        """Finds what is needed of each tensor.

        Some layers tie what is needed of one of their inputs to what is needed of another, or of
        their output. So the walk is repeated until it finds nothing new.
        """
        while self._walk_back() and any(not need.whole for need in self.needs.values()):
            pass

    def _walk_back(self) -> bool:
        """Walks from the outputs to the inputs once, and returns whether it found something new."""
        steps, has_grown = [], False
        for node in reversed(self.nodes):
            if node.is_input or not any(id(t) in self.needs for t in node.output_tensors):
                continue
            step = self.step_of(node)
            steps.append(step)
            for tensor, need in step.reads:
                before = self.needs.get(id(tensor))
                self.needs[id(tensor)] = need if before is None else before | need
                has_grown |= self.needs[id(tensor)] != before
        self._steps = steps[::-1]
        return has_grown

    def make(self, inputs: Mapping[int, Tensor]) -> None:
        """Makes the tensors that are needed.

        Args:
            inputs: New inputs, by the identity of the old ones.
        """
        self.new_tensors.update(inputs)
        for step in self._steps:
            step.make()
