"""What a balancer keeps between steps, and the seed of what it draws."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskState:
    """What a balancer remembers of each task (or of each pair), in a `keras.Variable`.

    Reads and writes see only the tasks that take part in the current step: with tasks 0 and 2
    of three, `value` has two entries and `assign` leaves that of task 1 as it was. A rule is
    thus written as if all tasks were there always.
    """

    def __init__(self, balancer: Any, variable: keras.Variable, task_axes: int) -> None:
        self._balancer = balancer
        self.variable = variable
        self.task_axes = task_axes

    def _full(self) -> Tensor:
        updates = self._balancer._updates
        return ops.convert_to_tensor(
            self.variable if updates is None else updates.get(self.variable.path, self.variable)
        )

    @property
    def value(self) -> Tensor:
        """The entries of the tasks that take part."""
        value = self._full()
        if self._balancer._indices is not None:
            for axis in range(self.task_axes):
                value = ops.take(value, self._balancer._indices, axis=axis)
        return value

    def assign(self, value: Tensor) -> None:
        """Sets the entries of the tasks that take part."""
        value = ops.cast(value, self.variable.dtype)
        indices = self._balancer._indices
        if indices is not None and self.task_axes:
            grid = ops.meshgrid(*[indices] * self.task_axes, indexing="ij")
            where = ops.reshape(ops.stack(grid, axis=-1), (-1, self.task_axes))
            rest = tuple(self.variable.shape[self.task_axes :])
            value = ops.scatter_update(self._full(), where, ops.reshape(value, (-1, *rest)))
        if self._balancer._updates is None:
            self.variable.assign(value)
        else:
            self._balancer._updates[self.variable.path] = value


class IterationSeed(keras.random.SeedGenerator):
    """A seed that depends on the balancer's iteration alone: the same on all replicas.

    Unlike its parent it keeps no state; a restored balancer draws what it would have drawn.
    """

    def __init__(self, seed: int, iteration: Tensor) -> None:
        self._pair = ops.stack([ops.full((), seed, "uint32"), ops.cast(iteration, "uint32")])

    def next(self, ordered: bool = True) -> Tensor:
        """The pair (seed, iteration)."""
        return self._pair
