"""The variables that serve one task alone, and their values."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_mtl.training._frontier import Frontier, VariableSlice


@dataclasses.dataclass(frozen=True)
class Head:
    """Holds the variables of one task, trained ones and statistics.

    Attributes:
        trained: The trainable ones; slices of variables that hold the heads of several tasks.
        statistics: The others, as the moving averages of a batch normalization.
    """

    trained: tuple[Any, ...]
    statistics: tuple[keras.Variable, ...]

    def values(self) -> list[npt.NDArray[Any]]:
        """Returns a copy of the values."""
        return [np.array(source.value) for source in (*self.trained, *self.statistics)]

    def assign(self, values: Sequence[npt.NDArray[Any]]) -> None:
        """Puts values back."""
        for source, value in zip((*self.trained, *self.statistics), values, strict=True):
            if isinstance(source, VariableSlice):
                whole = np.array(source.variable.value)
                whole[source.index] = value
                source.variable.assign(whole)
            else:
                source.assign(value)


def find_heads(frontier: Frontier) -> dict[str, Head]:
    """Returns the variables that serve one task alone, by task."""
    statistics = {name: _statistics(frontier, name) for name in frontier.towers}
    return {
        name: Head(tuple(v for v in variables if _serves_one(frontier, v)), statistics[name])
        for name, variables in frontier.task_variables.items()
    }


def _serves_one(frontier: Frontier, source: Any) -> bool:
    """Returns whether a variable serves one task; a layer that two towers call serves both."""
    return isinstance(source, VariableSlice) or len(frontier.users[id(source)]) == 1


def _statistics(frontier: Frontier, name: str) -> tuple[keras.Variable, ...]:
    parts = [frontier.towers[name], *([frontier.exits[name]] if name in frontier.exits else [])]
    variables = {
        id(variable): variable
        for part in parts
        for operation in part.operations
        for variable in getattr(operation, "non_trainable_variables", [])
    }
    return tuple(variables.values())
