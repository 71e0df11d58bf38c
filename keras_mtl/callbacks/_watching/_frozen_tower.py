"""A tower that stays as it is while the rest of a network trains."""

from typing import Any

from keras_mtl._keras_internals import slots_of
from keras_mtl.callbacks._refitting._head import Head
from keras_mtl.training._frontier import VariableSlice
from keras_mtl.training._optimizer import inner_optimizers


class FrozenTower:
    """Holds the values of a task's variables, and of what the optimizer keeps for them.

    A gradient of 0 is no rest: moments of earlier steps, weight decay and regularizers move a
    variable all the same, and moving averages follow each batch.

    Args:
        head: The variables of the task.
        optimizer: The optimizer of the model.

    Attributes:
        values: The values.
    """

    def __init__(self, head: Head, optimizer: Any) -> None:
        slots = [
            slot
            for source in head.trained
            for inner in inner_optimizers(optimizer)
            for slot in _slots(inner, source)
        ]
        self._all = Head((*head.trained, *slots), head.statistics)
        self.values = self._all.values()

    def restore(self) -> None:
        """Gives all of them the values that they had."""
        self._all.assign(self.values)


def _slots(optimizer: Any, source: Any) -> list[Any]:
    """Returns what an optimizer keeps for a variable, or for the slice of one."""
    if not isinstance(source, VariableSlice):
        return list(slots_of(optimizer, source))
    slots = slots_of(optimizer, source.variable)
    size = source.variable.shape[0]
    return [
        VariableSlice(slot, source.index) for slot in slots if slot.shape and slot.shape[0] == size
    ]
