"""Variables that hold an entry for each of several tasks, taken apart and put together."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._types import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """One task's entry of a variable's first axis: stands where a variable of its own would.

    Attributes:
        whole: The variable.
        index: Which entry.
    """

    whole: keras.Variable
    index: int

    @property
    def path(self) -> str:
        """Where it is, for errors."""
        return f"{self.whole.path}[{self.index}]"

    @property
    def value(self) -> Tensor:
        """Its numbers."""
        return self.whole.value[self.index]


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """The gradient of a slice, as an entry of the gradient of the variable.

    The gradients of fifty towers stay one array this way, in every operation on them.

    Attributes:
        whole: The gradient of the variable.
        index: Which entry.
    """

    whole: Tensor
    index: int

    @property
    def tensor(self) -> Tensor:
        """The gradient."""
        return self.whole[self.index]


def wholes(sources: Iterable[Any]) -> list[Any]:
    """Variables and tensors, each once, with the variables that slices are of."""
    return list({id(each): each for each in map(_whole, sources)}.values())


def gradients_of(sources: Sequence[Any], given: Sequence[Any], found: Sequence[Any]) -> list[Any]:
    """A gradient for each source; an entry of that of the variable where it is a slice.

    Args:
        sources: Variables, slices and tensors.
        given: What `wholes` gave for them.
        found: Gradients of those.
    """
    by_id = {id(each): gradient for each, gradient in zip(given, found, strict=True)}
    gradients = [by_id[id(_whole(each))] for each in sources]
    return [
        Entry(gradient, each.index)
        if isinstance(each, Slice) and gradient is not None
        else gradient
        for each, gradient in zip(sources, gradients, strict=True)
    ]


def change_rows(
    rows: Sequence[Sequence[Any]],
    alone: Callable[[int, Any], Any],
    together: Callable[[list[int], Tensor], Tensor],
) -> list[list[Any]]:
    """Rows of gradients with each of them changed; those that are entries, all at once.

    Args:
        rows: The gradients, a row a loss; `None` where there is none.
        alone: Changes a gradient of the loss at a place.
        together: Changes what holds a gradient for each of the losses at some places.
    """
    found: dict[int, tuple[Tensor, dict[int, int]]] = {}
    for k, row in enumerate(rows):
        for each in row:
            if isinstance(each, Entry):
                found.setdefault(id(each.whole), (each.whole, {}))[1][each.index] = k
    new = {
        key: together([places[i] for i in sorted(places)], whole)
        for key, (whole, places) in found.items()
    }

    def changed(k: int, each: Any) -> Any:
        if isinstance(each, Entry):
            return Entry(new[id(each.whole)], each.index)
        return None if each is None else alone(k, each)

    return [[changed(k, each) for each in row] for k, row in enumerate(rows)]


def joined(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Tensor]]:
    """Variables and something of each, with what is of slices put together.

    All slices of a variable are there, or none.
    """
    whole: dict[int, tuple[Any, Tensor]] = {}
    parts: dict[int, tuple[Any, dict[int, Tensor]]] = {}
    for variable, value in pairs:
        if isinstance(value, Entry):
            whole[id(variable.whole)] = (variable.whole, value.whole)
        elif isinstance(variable, Slice):
            _, mine = parts.setdefault(id(variable.whole), (variable.whole, {}))
            mine[variable.index] = value
        else:
            whole[id(variable)] = (variable, value)
    together = [(v, tf.stack([mine[i] for i in sorted(mine)])) for v, mine in parts.values()]
    return [*whole.values(), *together]


def _whole(source: Any) -> Any:
    return source.whole if isinstance(source, Slice) else source
