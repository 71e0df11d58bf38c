"""Which task each position of a layer serves that mixes the features of several tasks."""

from collections.abc import Sequence
from typing import Any

from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._branches import read_branches
from keras_mtl.analysis._inside._core import Core
from keras_mtl.layers import (
    NDDR,
    Branching,
    CrossStitch,
    SelectOrSkip,
    SubNetworkRouting,
    TaskRelations,
)

LISTS = (TaskRelations, CrossStitch, NDDR)
"""Layers from a list of features to a list of mixed features, in the same order."""

STACKS = (Branching, SelectOrSkip, SubNetworkRouting)
"""Layers that make a stack of features, one per child, task or route."""


class Positions:
    """Knows the tasks behind the positions of the layers that mix the features of tasks.

    Args:
        core: The network.
    """

    def __init__(self, core: Core) -> None:
        self._tasks: dict[tuple[int, int], list[str]] = {}
        for name, output in core.outputs.items():
            self._follow(name, output)

    def _follow(self, task: str, output: Tensor) -> None:
        """Walks from an output along the positions of one task, from layer to layer."""
        pending: list[tuple[Tensor, int | None]] = [(output, None)]
        while pending:
            tensor, branch = pending.pop()
            for node, position in read_branches(tensor, _mixes, branch):
                layer = node.operation
                if position is None:
                    position = 0 if isinstance(layer, LISTS) else None
                if position is None:
                    continue  # all of the stack is read at once
                tasks = self._tasks.setdefault((id(node), position), [])
                if task in tasks:
                    continue
                tasks.append(task)
                if isinstance(layer, LISTS):
                    pending.append((node.arguments.args[0][position], None))
                elif isinstance(layer, SelectOrSkip):
                    pending.append((node.arguments.args[0][0], position))

    def names(self, node: Any, count: int) -> tuple[str, ...]:
        """Returns a name for each position: its task, or its number if that is not known."""
        served = ["+".join(self._tasks.get((id(node), i), [])) for i in range(count)]
        if len({*served}) < count or "" in served:
            return tuple(name or str(i) for i, name in enumerate(_numbered(served)))
        return tuple(served)


def _numbered(names: Sequence[str]) -> list[str]:
    """Returns names, with the position behind those that stand more than once."""
    return [
        f"{name}/{i}" if name and names.count(name) > 1 else name for i, name in enumerate(names)
    ]


def _mixes(node: Any) -> bool:
    return isinstance(node.operation, LISTS + STACKS)
