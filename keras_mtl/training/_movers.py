"""What each variable belongs to, and so whether it moves in a step."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._active_flags import ActiveFlags
from keras_mtl.training._frontier import ColumnLayer, Frontier, VariableSlice

Mask: TypeAlias = tuple[Tensor, int | None]
"""Which entries along an axis move, bool; without an axis a scalar for the whole variable."""


class Movers:
    """Knows what each variable belongs to, and so whether it moves in a step.

    A variable belongs to the tasks whose losses reach it. It rests if none of them takes part. Of a
    variable that holds an entry for each of several tasks or columns, entries rest.

    Args:
        frontier: The network, cut into a trunk and towers.
        users: The tasks that reach each variable, by `id`.
        sizes: How many losses each task has.
        flags: The flags of tasks and variables.
        absent: The tasks that may be absent from some step: known from the form of the data.
        learned: What a balancer learns of each task, by `id` of the variable.
        by_rules: The variables, by `id`, that a penalty reaches which needs no labels.
    """

    def __init__(
        self,
        frontier: Frontier,
        users: Mapping[int, Collection[str]],
        sizes: Sequence[int],
        flags: ActiveFlags,
        absent: Collection[str],
        learned: Collection[int] = (),
        by_rules: Collection[int] = (),
    ) -> None:
        self._learned, self._absent = learned, set(absent)
        self._names = list(frontier.task_variables)
        self._users, self._sizes, self._flags, self._by_rules = users, sizes, flags, by_rules
        self._entries = _entries_of_tasks(frontier)
        self._columns = _axes_of_columns(frontier, dict(zip(self._names, sizes, strict=True)))

    def mask(self, variable: Any, active: Tensor) -> Mask | None:
        """Returns which entries of a variable move; `None` for one that belongs to no task.

        Args:
            variable: The variable.
            active: The losses that take part, bool `[K]`.
        """
        key = id(variable)
        if key in self._by_rules:  # unlabeled rows train it too, unless its tasks are switched off
            active |= self._flags.tasks
        if key in self._learned:
            return active, 0
        if key in self._columns:
            name, axis = self._columns[key]
            moves = tf.split(active, self._sizes)[self._names.index(name)]
        elif key in self._entries:
            axis = 0
            of_tasks = self._of_tasks(active)
            moves = tf.stack([of_tasks[name] for name in self._entries[key]])
        elif users := self._users.get(key, ()):
            axis = None
            of_tasks = self._of_tasks(active)
            # A lone task has further ends of the trunk among the users, which are no tasks.
            moves = tf.reduce_any([of_tasks[name] for name in self._names if name in users])
        else:
            return None
        flag = self._flags.of_variable(variable)
        return (moves if flag is None else moves & flag), axis

    def may_rest(self, variable: Any) -> bool:
        """Returns whether a variable, or an entry of it, may rest in some step."""
        key = id(variable)
        if key in self._learned:
            return bool(self._absent)
        if key in self._columns:
            return self._columns[key][0] in self._absent
        if key in self._entries:
            return not self._absent.isdisjoint(self._entries[key])
        users = {name for name in self._names if name in self._users.get(key, ())}
        return bool(users) and users <= self._absent

    def _of_tasks(self, active: Tensor) -> dict[str, Tensor]:
        """Returns for each task whether one of its losses takes part, a bool scalar."""
        parts = tf.split(active, self._sizes)
        return {name: tf.reduce_any(part) for name, part in zip(self._names, parts, strict=True)}


def _entries_of_tasks(frontier: Frontier) -> dict[int, list[str]]:
    """Returns for each joint variable, by `id`, the task of each entry of its first axis."""
    tasks: dict[int, dict[int, str]] = {}
    for name, variables in frontier.task_variables.items():
        for source in variables:
            if isinstance(source, VariableSlice):
                tasks.setdefault(id(source.variable), {})[source.index] = name
    return {key: [by_index[i] for i in sorted(by_index)] for key, by_index in tasks.items()}


def _axes_of_columns(frontier: Frontier, sizes: Mapping[str, int]) -> dict[int, tuple[str, int]]:
    """Returns for each variable of the layers at which columns part, by `id`, task and axis."""
    axes: dict[int, tuple[str, int]] = {}
    for layer in frontier.joint_layers:
        if not isinstance(layer, ColumnLayer) or frontier.tied:
            continue
        operation, (name,) = layer.node.operation, layer.tasks
        for variable in operation.trainable_variables:
            if variable is operation.kernel:
                axes[id(variable)] = name, layer.kernel.index(layer.axis)
            elif variable is operation.bias and tuple(variable.shape) == (sizes[name],):
                axes[id(variable)] = name, 0
    return axes


def laid_over(mask: Mask, shape: Any, of_slot: Any) -> Tensor:
    """Returns a mask that broadcasts over a variable, or over one of its slots.

    A slot of another shape, such as the factors of Adafactor, moves as a whole.
    """
    moves, axis = mask
    if axis is None:
        return moves
    if len(of_slot) <= axis or of_slot[axis] != shape[axis] or len(of_slot) != len(shape):
        return tf.reduce_any(moves)
    return tf.reshape(moves, [-1 if i == axis else 1 for i in range(len(of_slot))])
