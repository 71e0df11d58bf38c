"""One task's part of a variable that holds an entry for each of several tasks."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl._types import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class VariableSlice:
    """Stands for a variable of one task: one entry of the first axis of a joint variable.

    Slices are compared by identity (`eq=False`), since `==` of variables compares their numbers.

    Attributes:
        variable: The variable, with an entry for each task.
        index: The entry of the task.
    """

    variable: keras.Variable
    index: int

    @property
    def path(self) -> str:
        """The path of the variable and the entry, for errors."""
        return f"{self.variable.path}[{self.index}]"

    @property
    def value(self) -> Tensor:
        """The entry's current value, one axis less than the variable's."""
        return self.variable.value[self.index]


def source_of(source: Any) -> Any:
    """Returns the variable that a slice belongs to; any other source as it is."""
    return source.variable if isinstance(source, VariableSlice) else source


def distinct_sources(sources: Iterable[Any]) -> list[Any]:
    """Returns the distinct sources, with each slice replaced by its variable.

    A tape is asked for the gradient of a variable once, however many of its slices are wanted.
    """
    return list({id(source): source for source in map(source_of, sources)}.values())
