"""The state that a balancer keeps between steps, and the seed of its random draws."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskState:
    """Holds numbers of each task (or of each pair of tasks) between steps, in a `keras.Variable`.

    `Balancer.add_state` makes it. Reads and writes see the active tasks of the current step only:
    with tasks 0 and 2 of three active, `value` has two entries and `assign` leaves the entry of
    task 1 as it was. A rule is therefore written as if all tasks took part in every step.

    Inside `Balancer.on_tasks` an assignment is collected instead of made: the trainer assigns the
    new values at the end of the step.

    Args:
        balancer: The balancer whose state this is.
        variable: The variable, of full size.
        task_axes: How many of its first axes run over tasks: 0, 1, or 2 for pairs.

    Example:
        >>> from keras_mtl.balancers import LossBalancer
        >>> class Smoothed(LossBalancer):
        ...     def build(self, num_tasks):
        ...         super().build(num_tasks)
        ...         self.mean = self.add_state("mean", (num_tasks,))
        ...     def scalarize(self, losses):
        ...         self.mean.assign(0.5 * self.mean.value + 0.5 * ops.stop_gradient(losses))
        ...         return ops.sum(losses / self.mean.value)
        >>> balancer = Smoothed()
        >>> _ = balancer.scalarize([2.0, 4.0])
        >>> balancer.mean.value.numpy().tolist()
        [1.0, 2.0]
    """

    def __init__(self, balancer: Any, variable: keras.Variable, task_axes: int) -> None:
        self._balancer = balancer
        self.variable = variable
        self.task_axes = task_axes

    def _full(self) -> Tensor:
        """Returns the values of all tasks, assignments of this step included."""
        updates = self._balancer._updates
        return ops.convert_to_tensor(
            self.variable if updates is None else updates.get(self.variable.path, self.variable)
        )

    @property
    def value(self) -> Tensor:
        """The entries of the active tasks."""
        value = self._full()
        if self._balancer._indices is not None:
            for axis in range(self.task_axes):
                value = ops.take(value, self._balancer._indices, axis=axis)
        return value

    def assign(self, value: Tensor) -> None:
        """Sets the entries of the active tasks.

        Args:
            value: The new entries, of the shape that `value` has in this step.
        """
        value = ops.cast(value, self.variable.dtype)
        indices = self._balancer._indices
        if indices is not None and self.task_axes:
            # For pairs of m active tasks: all m * m positions (i, j), one per row.
            grid = ops.meshgrid(*[indices] * self.task_axes, indexing="ij")
            where = ops.reshape(ops.stack(grid, axis=-1), (-1, self.task_axes))
            rest = tuple(self.variable.shape[self.task_axes :])
            value = ops.scatter_update(self._full(), where, ops.reshape(value, (-1, *rest)))
        if self._balancer._updates is None:
            self.variable.assign(value)
        else:
            self._balancer._updates[self.variable.path] = value


class IterationSeed(keras.random.SeedGenerator):
    """Derives the seed of a draw from the balancer's iteration alone: the same on all replicas.

    Unlike its parent it keeps no state, so that a balancer restored from a checkpoint draws the
    same numbers as one that was never interrupted.
    """

    def __init__(self, seed: int, iteration: Tensor) -> None:
        # No super().__init__: it would make a variable.
        self._pair = ops.stack([ops.full((), seed, "uint32"), ops.cast(iteration, "uint32")])

    def next(self, ordered: bool = True) -> Tensor:
        """Returns the pair (seed, iteration)."""
        return self._pair
