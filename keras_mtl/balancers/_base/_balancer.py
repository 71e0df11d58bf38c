"""The base of all balancers."""

import abc
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._tasks import LossTraits
from keras_mtl._types import Initializer, Tensor
from keras_mtl.balancers._base._needs import Needs
from keras_mtl.balancers._base._rule import is_abstract, wrap_rule
from keras_mtl.balancers._base._state import IterationSeed, TaskState


class Balancer(keras.layers.Layer, abc.ABC):
    """Sees statistics of all replicas and says how to combine the tasks of a step.

    To write a rule of your own, subclass one of the three kinds. The kind tells `BalancedModel`
    which statistic to compute:

        LossBalancer      scalarize(losses [K])                      -> a scalar to minimize
        GramianBalancer   weigh(gramian [K, K], losses [K])          -> weights [K]
        GradientBalancer  merge(gradients [K, n], losses [K])        -> a direction [n]

    A balancer is a layer, so its state is saved, restored and mirrored with the model. It also
    works on plain arrays, without a model: the first call of the rule then builds it.

    `BalancedModel` calls, in this order:

    1. `bind` with the names of the tasks, `read_tasks` with the traits of their losses, and `build`
       with their number, once. Override `build` to make state with `add_state` and to read
       arguments with `per_task`.
    2. The rule, inside `on_tasks`, in each step (or in each `every`-th). K is then the number of
       active tasks: those that have labels and a finite loss in this step. A rule is written as
       if there were no others: `TaskState.value` has entries of active tasks only, and
       `select_active` selects these from a constant. Of more than eight tasks, the number of
       active ones may be unknown while a graph is traced; read it by `ops.shape`.
    3. `after_update`, where `needs.losses_after` asks for it.
    4. `end_epoch` after each epoch. A rule that reads the logs names their keys in `log_keys`.

    The rule is compiled: it uses `keras.ops` only, and keeps nothing between steps but state.
    What it needs of a step beyond the statistic of its kind, it declares by its attribute
    `needs`: see `Needs`.

    Args:
        name: Optional name of the layer.

    Example:
        >>> import keras_mtl as mtl
        >>> class Falling(mtl.balancers.LossBalancer):  # each loss relative to its first value
        ...     def build(self, num_tasks):
        ...         super().build(num_tasks)
        ...         self.first = self.add_state("first", (num_tasks,), "ones")
        ...     def scalarize(self, losses):
        ...         is_first = ops.equal(self.iteration.value, 0)
        ...         self.first.assign(ops.where(is_first, losses, self.first.value))
        ...         return ops.sum(losses / ops.stop_gradient(self.first.value))
        >>> balancer = Falling()
        >>> [float(balancer.scalarize(losses)) for losses in ([2.0, 4.0], [1.0, 3.0])]
        [2.0, 1.25]
        >>> isinstance(balancer, mtl.balancers.Balancer)
        True
    """

    min_tasks: ClassVar[int] = 1
    """The fewest tasks for which a model with this balancer makes sense."""

    needs: Needs = Needs()
    """The rule's needs of a step, beyond the statistic of its kind."""

    static_shapes: bool = False
    """Whether the step is compiled by XLA, so that every shape must be known when it is traced.

    `BalancedModel` sets it from `jit_compile` before each trace, and then traces the rule for
    every number of active tasks separately: K is known inside the rule. A rule may read it to
    choose between two ways to compute the same numbers.
    """

    _rule_name: ClassVar[str]
    """Name of the method that holds the rule; each of the three kinds sets it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._rule_name in cls.__dict__ and not is_abstract(cls.__dict__[cls._rule_name]):
            setattr(cls, cls._rule_name, wrap_rule(cls.__dict__[cls._rule_name]))

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        # Statistics are float32 whatever the policy of the network (a config carries a dtype).
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})
        self.task_names: tuple[str, ...] | None = None
        self.traits: tuple[LossTraits, ...] | None = None
        # Positions of the active tasks, and the new state by variable path, inside `on_tasks`.
        self._indices: Tensor | None = None
        self._updates: dict[str, Tensor] | None = None
        self._states: tuple[TaskState, ...] = ()

    def bind(self, names: Sequence[str]) -> None:
        """Sets the names of the tasks, in the order of the losses; call it before `build`.

        Needed only where an argument is a dict by task name. `BalancedModel` does it.

        Args:
            names: Names of the K tasks.
        """
        self.task_names = tuple(names)

    def read_tasks(self, traits: Sequence[LossTraits]) -> None:
        """Receives what is known of the losses before the first step; call it before `build`.

        A rule may take the defaults of its arguments from them. `BalancedModel` does it.

        Args:
            traits: Of each of the K losses, in their order: `regression`, whether the labels are
                numbers, and `typical`, the loss of a prediction that knows nothing of the inputs
                (`None` where it is not known).
        """
        self.traits = tuple(traits)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks; a subclass calls this, then adds its own state.

        Args:
            num_tasks: K, the number of all tasks, active or not.
        """
        self.num_tasks = int(num_tasks)
        self.iteration = self.add_state("iteration", (), dtype="int32", task_axes=0)
        self.built = True

    def add_state(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Initializer = "zeros",
        *,
        task_axes: int = 1,
        trainable: bool = False,
        dtype: str = "float32",
    ) -> TaskState:
        """Adds a variable whose first axes run over tasks; call it in `build`.

        Args:
            name: Name of the variable.
            shape: Its shape for all tasks, such as `(num_tasks,)`.
            initializer: Its initializer. Defaults to `"zeros"`.
            task_axes: How many of the first axes run over tasks: 0 for a number that all tasks
                share, 2 for a number per pair of tasks. Defaults to `1`.
            trainable: Whether the model's optimizer trains it, by the derivatives of the scalar
                of a `LossBalancer`. Defaults to `False`: the rule assigns it.
            dtype: Its dtype. Defaults to `"float32"`.

        Returns:
            The state, which the rule reads and writes for the active tasks.
        """
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
        self, argument: str, value: float | Sequence[float] | Mapping[str, float]
    ) -> tuple[float, ...]:
        """Returns one number per task from an argument of the constructor; call it in `build`.

        Args:
            argument: Name of the argument, for messages.
            value: A number for all tasks, a sequence of K numbers, or a dict by task name.

        Returns:
            K numbers, in the order of the losses.

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
                    "tasks; give one number per task."
                )
            return tuple(float(entry) for entry in value)
        return (float(value),) * self.num_tasks

    def select_active(self, values: Tensor) -> Tensor:
        """Selects the entries of the active tasks from a constant with one entry per task.

        Args:
            values: Numbers of all tasks, `[num_tasks, ...]`, such as the result of `per_task`.

        Returns:
            Those of the active tasks, `[K, ...]`, float32, in the order of the losses.
        """
        values = ops.convert_to_tensor(values, "float32")
        return values if self._indices is None else ops.take(values, self._indices, axis=0)

    def draw_preference(self) -> Tensor:
        """Returns the preference `[K]`, of all tasks, that the network takes in the next step.

        Called before the rule, and only with `needs.preference`; such a balancer overrides it.
        """
        raise NotImplementedError(f"{type(self).__name__} declares no preference.")

    def after_update(self, losses: Tensor) -> None:
        """Receives the losses of the same batch after the update, if `needs.losses_after`.

        Called after the rule, for the same tasks, and not in steps that reuse weights. By default
        it does nothing.

        Args:
            losses: Losses of the active tasks, `[K]`.
        """

    def log_keys(self) -> dict[str, str]:
        """Returns the keys that `end_epoch` reads from the logs, by task; by default none.

        `fit` refuses keys that will not be logged, before it trains.
        """
        return {}

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """Receives the logs of an epoch that has ended; by default it does nothing.

        The trainer calls it outside of any graph, so that it may run any Python code.

        Args:
            logs: The values that Keras logged for the epoch, validation included, by name.
        """

    @contextlib.contextmanager
    def on_tasks(self, indices: Tensor | None) -> Iterator[dict[str, Tensor]]:
        """Runs the rule for the active tasks only, and collects its assignments of state.

        Inside, `TaskState` and `select_active` see the active tasks only, and no variable is
        changed.

        Args:
            indices: Positions of the active tasks, int32; `None` for all tasks. Their number need
                not be known while a graph is traced: shapes of the rule's arrays are then `None`.

        Yields:
            A dict that fills up with the new values of state, of full size, by variable path. The
            caller assigns them.

        Example:
            >>> import keras_mtl as mtl
            >>> balancer = mtl.balancers.MGDA()
            >>> balancer.build(3)
            >>> with balancer.on_tasks(ops.array([0, 2])) as updates:
            ...     weights = balancer.weigh([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
            >>> weights.numpy().tolist()
            [0.5, 0.5]
            >>> [int(value) for value in updates.values()]  # the number of steps so far
            [1]
        """
        self._indices, self._updates = indices, {}
        try:
            yield self._updates
        finally:
            self._indices, self._updates = None, None

    def seed(self, seed: int) -> IterationSeed:
        """Returns a seed for `keras.random` that changes with each step and with nothing else.

        Args:
            seed: The user's seed. Two draws of one step need two of them.
        """
        return IterationSeed(seed, self.iteration.value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer; a subclass adds its own."""
        config: dict[str, Any] = super().get_config()
        del config["dtype"]
        return config

    def get_build_config(self) -> dict[str, Any]:
        """Returns the number of tasks, and their names and traits if they are known."""
        names = None if self.task_names is None else list(self.task_names)
        config: dict[str, Any] = {"num_tasks": self.num_tasks, "task_names": names}
        if self.traits is not None:
            config["traits"] = [dataclasses.asdict(traits) for traits in self.traits]
        return config

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the balancer for the tasks of `get_build_config`."""
        if not self.built:
            if config.get("task_names") is not None:
                self.bind(config["task_names"])
            if config.get("traits") is not None:
                self.read_tasks([LossTraits(**traits) for traits in config["traits"]])
            self.build(config["num_tasks"])
