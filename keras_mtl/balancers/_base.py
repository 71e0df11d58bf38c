"""The three kinds of balancer, and the state that one keeps between steps."""

import abc
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._types import Tensor


class TaskState:
    """What a balancer remembers of each task (or of each pair), in a `keras.Variable`.

    Reads and writes see only the tasks that take part in the current step: with tasks 0 and 2
    of three, `value` has two entries and `assign` leaves that of task 1 as it was. A rule is
    thus written as if all tasks were there always.
    """

    def __init__(self, balancer: "Balancer", variable: keras.Variable, task_axes: int) -> None:
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


class Balancer(keras.layers.Layer, abc.ABC):
    """Sees statistics of all replicas and says how to combine the tasks of a step.

    Choose one of the three kinds to write a new one: `LossBalancer`, `GramianBalancer` or
    `GradientBalancer`. The kind tells `BalancedModel` what to compute. A balancer is a layer,
    so its state is saved, restored and mirrored with the model. It also works on plain arrays,
    without a model.
    """

    min_tasks: ClassVar[int] = 1
    """The fewest tasks for which a model with this balancer makes sense."""

    _rule: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._rule in cls.__dict__ and not _is_abstract(cls.__dict__[cls._rule]):
            setattr(cls, cls._rule, _door(cls.__dict__[cls._rule]))

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype="float32", **kwargs)
        self._indices: Tensor | None = None
        self._updates: dict[str, Tensor] | None = None
        self._states: tuple[TaskState, ...] = ()

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks; a subclass adds its own and calls this."""
        self.num_tasks = int(num_tasks)
        self.iteration = self.add_state("iteration", (), dtype="int32", task_axes=0)
        self.built = True

    def add_state(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = "zeros",
        *,
        task_axes: int = 1,
        trainable: bool = False,
        dtype: str = "float32",
    ) -> TaskState:
        """Adds a variable whose first `task_axes` axes run over tasks; call it in `build`."""
        variable = self.add_weight(
            name=name,
            shape=tuple(shape),
            initializer=initializer,
            trainable=trainable,
            dtype=dtype,
            aggregation="only_first_replica",
        )
        state = TaskState(self, variable, task_axes)
        self._states = (*self._states, state)
        return state

    @property
    def states(self) -> tuple[TaskState, ...]:
        """All state, learned variables included, in the order in which it was added."""
        return self._states

    @contextlib.contextmanager
    def on_tasks(self, indices: Tensor | None) -> Iterator[dict[str, Tensor]]:
        """Runs the rule for some tasks only, and collects what it would have assigned.

        Args:
            indices: Which tasks take part, int32 of a static length; `None` for all of them.

        Yields:
            New values of state by variable path, of full size; the trainer assigns them.
        """
        self._indices, self._updates = indices, {}
        try:
            yield self._updates
        finally:
            self._indices, self._updates = None, None

    def seed(self, seed: int) -> IterationSeed:
        """A seed for `keras.random` that changes with each step and with nothing else."""
        return IterationSeed(seed, self.iteration.value)

    def get_build_config(self) -> dict[str, Any]:
        """The number of tasks."""
        return {"num_tasks": self.num_tasks}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds for the number of tasks of `get_build_config`."""
        if not self.built:
            self.build(config["num_tasks"])


def _is_abstract(method: Any) -> bool:
    """Whether a method is still to be written by a subclass."""
    return bool(getattr(method, "__isabstractmethod__", False))


def _door(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Lets a rule take plain arrays: converts them, builds the state, counts the call."""

    @functools.wraps(rule)
    def checked(self: Balancer, *arrays: Tensor) -> Tensor:
        arrays = tuple(ops.convert_to_tensor(array, "float32") for array in arrays)
        num_tasks = arrays[-1].shape[0]
        expected = {"weigh": ("gramian", (num_tasks, num_tasks)), "merge": ("gradients", None)}
        if len(arrays[-1].shape) != 1:
            raise ValueError(f"{self.name}: losses must be [K]; received {arrays[-1].shape}.")
        for array, (name, shape) in zip(arrays[:-1], [expected.get(self._rule, ("", None))]):
            got = tuple(array.shape)
            if len(got) != 2 or got[0] != num_tasks or shape not in (None, got):
                raise ValueError(
                    f"{self.name}: {name} has shape {got}, which does not fit {num_tasks} losses."
                )
        if not self.built:
            self.build(num_tasks)
        if self._indices is None and num_tasks != self.num_tasks:
            raise ValueError(
                f"{self.name} was built for {self.num_tasks} tasks; received {num_tasks}. "
                "Make a new balancer for another number of tasks."
            )
        result = rule(self, *arrays)
        self.iteration.assign(self.iteration.value + 1)
        return result

    return checked


class LossBalancer(Balancer):
    """Combines the losses into one scalar, whose derivatives are the task weights.

    The cheapest kind: one backward pass, as in plain training. The scalar is differentiated as
    it stands, so task-specific variables are weighted too.

    Write `scalarise(losses)`: losses `[K]` to a scalar. State that should not be differentiated
    goes through `ops.stop_gradient`.
    """

    _rule = "scalarise"

    @abc.abstractmethod
    def scalarise(self, losses: Tensor) -> Tensor:
        """Combines the losses `[K]` of a step into the scalar to be minimised."""


class GramianBalancer(Balancer):
    """Finds task weights from the inner products of the tasks' gradients.

    Write `weigh(gramian, losses)`: the Gramian `[K, K]` of the gradients with respect to the
    shared variables (or to the shared representation) and the losses `[K]`, to weights `[K]`.
    """

    _rule = "weigh"
    min_tasks = 2

    @abc.abstractmethod
    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the task weights `[K]` for a Gramian `[K, K]` and losses `[K]`."""


class GradientBalancer(Balancer):
    """Merges the tasks' gradients into one direction that is no weighted sum of them.

    Write `merge(gradients, losses)`: gradients `[K, n]` and losses `[K]`, to a direction `[n]`.
    Costs more memory than the other kinds: all gradients are joined into one array.
    """

    _rule = "merge"
    min_tasks = 2

    @abc.abstractmethod
    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Returns the direction `[n]` for gradients `[K, n]` and losses `[K]`."""
