"""The three kinds of balancer."""

import abc
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base._needs import Needs
from keras_mtl.balancers._base._rule import is_abstract, with_door
from keras_mtl.balancers._base._state import IterationSeed, TaskState


class Balancer(keras.layers.Layer, abc.ABC):
    """Sees statistics of all replicas and says how to combine the tasks of a step.

    Choose one of the three kinds to write a new one: `LossBalancer`, `GramianBalancer` or
    `GradientBalancer`. The kind tells `BalancedModel` what to compute. A balancer is a layer,
    so its state is saved, restored and mirrored with the model. It also works on plain arrays,
    without a model.

    `BalancedModel` calls, in this order: `bind` with the names of the tasks, `build`, the rule
    (`scalarize`, `weigh` or `merge`) inside `on_tasks` at each step, and `end_epoch` after each
    epoch. A rule sees the tasks that take part in a step; of more than eight, their number may
    be unknown while a graph is traced: read it by `ops.shape`. What a method needs beyond its
    kind it declares by its attribute `needs`: see `Needs`.

    Args:
        name: Optional name of the layer.

    Example:
        >>> import keras_mtl as mtl
        >>> balancer = mtl.balancers.PCGrad()
        >>> isinstance(balancer, mtl.balancers.Balancer)
        True
    """

    min_tasks: ClassVar[int] = 1
    """The fewest tasks for which a model with this balancer makes sense."""

    needs: Needs = Needs()
    """What the rule needs of a step, beyond the statistic of its kind."""

    _rule: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._rule in cls.__dict__ and not is_abstract(cls.__dict__[cls._rule]):
            setattr(cls, cls._rule, with_door(cls.__dict__[cls._rule]))

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        # Statistics are float32 whatever the policy of the network (a config carries a dtype).
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})
        self.task_names: tuple[str, ...] | None = None
        self._indices: Tensor | None = None
        self._updates: dict[str, Tensor] | None = None
        self._states: tuple[TaskState, ...] = ()
        # Whether a step is compiled by XLA; the trainer says so.
        self.static_shapes = False

    def bind(self, names: Sequence[str]) -> None:
        """Tells the names of the tasks, in the order of the losses; call it before `build`.

        Needed only where an argument is a dict by task name, and done by `BalancedModel`.
        """
        self.task_names = tuple(names)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks; a subclass calls this, then adds its own."""
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

    def per_task(
        self, argument: str, value: "float | Sequence[float] | Mapping[str, float]"
    ) -> tuple[float, ...]:
        """One number a task, from one for all, a sequence, or a dict by task name; in `build`.

        Raises:
            ValueError: If there are not as many numbers as tasks, or the keys of a dict are not
                exactly the tasks that `bind` named.
        """
        if isinstance(value, Mapping):
            if self.task_names is None:
                raise ValueError(
                    f"{self.name}: {argument} goes by task name and no names are known; use the "
                    "balancer in a BalancedModel, call bind(names) first, or pass a sequence."
                )
            if set(value) != set(self.task_names):
                raise ValueError(
                    f"{self.name}: {argument} must have exactly the tasks {self.task_names}; "
                    f"missing: {sorted({*self.task_names} - {*value})}, "
                    f"unknown: {sorted({*value} - {*self.task_names})}."
                )
            return tuple(float(value[name]) for name in self.task_names)
        if isinstance(value, Sequence):
            if len(value) != self.num_tasks:
                raise ValueError(
                    f"{self.name}: {argument} has {len(value)} numbers for {self.num_tasks} "
                    "tasks; give one a task."
                )
            return tuple(float(entry) for entry in value)
        return (float(value),) * self.num_tasks

    def present(self, values: Tensor) -> Tensor:
        """The entries, of a constant with one a task, of the tasks that take part."""
        values = ops.convert_to_tensor(values, "float32")
        return values if self._indices is None else ops.take(values, self._indices, axis=0)

    def after_update(self, losses: Tensor) -> None:
        """Told the losses `[K]` of the batch after the update, if `needs.losses_after`.

        Called after the rule, for the same tasks, and not in steps that reuse weights.
        """

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Told by the trainer, outside of any graph, that an epoch has ended; does nothing.

        Args:
            logs: What Keras logged of the epoch, validation included, by name.
        """

    @contextlib.contextmanager
    def on_tasks(self, indices: Tensor | None) -> Iterator[dict[str, Tensor]]:
        """Runs the rule for some tasks only, and collects what it would have assigned.

        Args:
            indices: Which tasks take part, int32; `None` for all of them. Their number need not
                be known while a graph is traced: shapes of the rule's arrays are then `None`.

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

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer; a subclass adds its own."""
        config: dict[str, Any] = super().get_config()
        del config["dtype"]
        return config

    def get_build_config(self) -> dict[str, Any]:
        """The number of tasks, and their names where `bind` told them."""
        names = None if self.task_names is None else list(self.task_names)
        return {"num_tasks": self.num_tasks, "task_names": names}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds for the tasks of `get_build_config`."""
        if not self.built:
            if config.get("task_names") is not None:
                self.bind(config["task_names"])
            self.build(config["num_tasks"])


class LossBalancer(Balancer):
    """Combines the losses into one scalar, whose derivatives are the task weights.

    The cheapest kind: one backward pass, as in plain training. The scalar is differentiated as
    it stands, so task-specific variables are weighted too.

    Write `scalarize(losses)`: losses `[K]` to a scalar. State that should not be differentiated
    goes through `ops.stop_gradient`.

    Example:
        >>> class Worst(LossBalancer):
        ...     def scalarize(self, losses):
        ...         return ops.max(losses)
        >>> float(Worst().scalarize([1.0, 3.0]))
        3.0
    """

    _rule = "scalarize"

    @abc.abstractmethod
    def scalarize(self, losses: Tensor) -> Tensor:
        """Combines the losses `[K]` of a step into the scalar to be minimized."""


class GramianBalancer(Balancer):
    """Finds task weights from the inner products of the tasks' gradients.

    Write `weigh(gramian, losses)`: the Gramian `[K, K]` of the gradients with respect to the
    shared variables (or to the shared representation) and the losses `[K]`, to weights `[K]`.

    Example:
        >>> class Unit(GramianBalancer):  # gradients of length 1
        ...     def weigh(self, gramian, losses):
        ...         return 1 / ops.sqrt(ops.diagonal(gramian))
        >>> Unit().weigh([[4.0, 1.0], [1.0, 16.0]], [1.0, 1.0]).numpy().tolist()
        [0.5, 0.25]
    """

    _rule = "weigh"
    min_tasks = 2

    def look_ahead_weights(self) -> Tensor:
        """The weights `[K]` of the step that is looked ahead to, if `needs.second_batch`."""
        return ops.ones((self.num_tasks,))

    @abc.abstractmethod
    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Returns the task weights `[K]` for a Gramian `[K, K]` and losses `[K]`."""


class GradientBalancer(Balancer):
    """Merges the tasks' gradients into one direction that is no weighted sum of them.

    Write `merge(gradients, losses)`: gradients `[K, n]` and losses `[K]`, to a direction `[n]`.
    Costs more memory than the other kinds: all gradients are joined into one array.

    Example:
        >>> class Median(GradientBalancer):
        ...     def merge(self, gradients, losses):
        ...         return ops.median(gradients, axis=0)
        >>> gradients = [[1.0, 0.0], [2.0, 5.0], [9.0, 1.0]]
        >>> Median().merge(gradients, [1.0, 1.0, 1.0]).numpy().tolist()
        [2.0, 1.0]
    """

    _rule = "merge"
    min_tasks = 2

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.sizes: tuple[int, ...] = ()

    def lay_out(self, sizes: Sequence[int]) -> None:
        """Tells how many of the n entries each variable has, in order; call it before `build`.

        Done by `BalancedModel` with `at="parameters"`, and by the first `merge` of plain arrays
        (one part). `self.sizes` and their sum `self.size` are then known.
        """
        self.sizes = tuple(int(size) for size in sizes)

    @property
    def size(self) -> int:
        """n, the number of entries of a gradient; 0 while it is unknown."""
        return sum(self.sizes)

    def get_build_config(self) -> dict[str, Any]:
        """As of every balancer, with the sizes of the variables."""
        return {**super().get_build_config(), "sizes": list(self.sizes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds for the tasks and sizes of `get_build_config`."""
        self.lay_out(config.get("sizes", ()))
        super().build_from_config(config)

    @abc.abstractmethod
    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Returns the direction `[n]` for gradients `[K, n]` and losses `[K]`."""
