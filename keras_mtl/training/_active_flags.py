"""Which tasks take part in the steps to come, and which variables are trained."""

from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._backup._position import SkippingFunction


class ActiveFlags:
    """Holds a flag for each loss and for each variable of the network, saved with the model.

    Flags are tensors: a change needs no other trace, except for the first one of a model, whose
    traces have not read flags until then, since reading them takes time.

    Args:
        model: The `BalancedModel` that owns the flags.
        tasks: Its tasks.
    """

    def __init__(self, model: Any, tasks: Sequence[Task]) -> None:
        self._model = model
        self._task_of_loss = [task.name for task in tasks for _ in task.loss_names]
        variables = model.network.variables
        self._positions = {id(variable): i for i, variable in enumerate(variables)}
        self._tasks = _flags(model, "task_active", len(self._task_of_loss))
        self._variables = _flags(model, "variable_active", len(variables))
        self.used = False
        """Whether a flag was ever lowered, so that steps read the flags."""

    def active(self, tasks: Tensor) -> Tensor:
        """Returns those of some losses that may take part, bool `[K]`."""
        return tasks & self.tasks if self.used else tasks

    @property
    def tasks(self) -> Tensor:
        """Which losses may take part, bool `[K]`."""
        if not self.used:
            return tf.ones((len(self._task_of_loss),), tf.bool)
        return tf.convert_to_tensor(self._tasks) > 0.0

    @property
    def some_frozen(self) -> Tensor:
        """Whether a flag of a variable is down, a bool scalar."""
        if not self.used:
            return tf.constant(False)
        return ~tf.reduce_all(tf.convert_to_tensor(self._variables) > 0.0)

    def of_variable(self, variable: Any) -> Tensor | None:
        """Returns whether a variable is trained, a bool scalar; `None` for one of no layer."""
        position = self._positions.get(id(variable))
        if not self.used or position is None:
            return None
        return tf.convert_to_tensor(self._variables)[position] > 0.0

    @property
    def active_tasks(self) -> list[str]:
        """The names of the tasks that may take part."""
        flags = self._tasks.numpy()
        pairs = zip(self._task_of_loss, flags, strict=True)
        return list(dict.fromkeys(name for name, flag in pairs if flag))

    def set(
        self, tasks: Collection[str] | None, variables: Collection[keras.Variable] | None
    ) -> None:
        """Sets the flags: up for those that are named, down for all others.

        Args:
            tasks: The names of the tasks; `None` leaves the flags of tasks as they are.
            variables: The variables of the network; `None` likewise.

        Raises:
            ValueError: If there is no such task, or a variable is none of the network.
        """
        if tasks is not None:
            unknown = sorted({*tasks} - {*self._task_of_loss})
            if isinstance(tasks, str) or unknown:
                raise ValueError(
                    f"tasks must be names of {list(dict.fromkeys(self._task_of_loss))}; received "
                    f"{tasks!r}."
                )
            self._tasks.assign([float(name in tasks) for name in self._task_of_loss])
        if variables is not None:
            foreign = [v.path for v in variables if id(v) not in self._positions]
            if foreign:
                raise ValueError(f"variables must be those of the network; received {foreign}.")
            flags = np.zeros(len(self._positions), "float32")
            flags[[self._positions[id(variable)] for variable in variables]] = 1.0
            self._variables.assign(flags)
        self.refresh()

    def refresh(self) -> None:
        """Lets steps read the flags from now on if one of them is down, as in a loaded model."""
        if self.used:
            return
        flags = [values.numpy() for values in (self._tasks, self._variables)]
        if all(np.all(values > 0.0) for values in flags):
            return
        self.used = True
        for mode in ("train", "test"):
            before = getattr(self._model, f"{mode}_function", None)
            if before is not None:
                getattr(self._model, f"make_{mode}_function")(force=True)
            if isinstance(before, SkippingFunction):  # a backup goes on to skip batches
                before.function = self._model.train_function
                self._model.train_function = before


def _flags(model: Any, name: str, count: int) -> keras.Variable:
    # All replicas read the same values, which are set outside of steps.
    return model.add_weight(
        name=name,
        shape=(count,),
        dtype="float32",
        initializer="ones",
        trainable=False,
        aggregation="only_first_replica",
    )
