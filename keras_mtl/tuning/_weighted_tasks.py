"""A hypermodel of Keras Tuner whose hyper-parameters are the task weights."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.tuning._objectives import Goal, LogGoal

_GRID_POINTS = 5  # ratios per task


@dataclasses.dataclass(frozen=True)
class Space:
    """Describes the searched space: ratios to the first task's weight, on a logarithmic scale.

    Only ratios matter to an optimizer such as Adam, so K tasks have K - 1 dimensions. Weights are
    then scaled to sum to K, which keeps the size of steps comparable between trials for every
    other optimizer.

    Args:
        names: Task names.
        low: Smallest ratio.
        high: Largest ratio.
        grid: Whether ratios are chosen from `_GRID_POINTS` values instead of an interval.
    """

    names: tuple[str, ...]
    low: float
    high: float
    grid: bool

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the ratios as hyper-parameters."""
        hp.Fixed(_key(self.names[0]), 1.0)  # r_1: only ratios to the first task are searched
        for name in self.names[1:]:
            if self.grid:
                points = np.geomspace(self.low, self.high, _GRID_POINTS).round(9).tolist()
                hp.Choice(_key(name), points, default=points[_GRID_POINTS // 2])
            else:
                hp.Float(_key(name), self.low, self.high, sampling="log")

    def weights(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Computes the task weights for the ratios of a trial; they sum to K."""
        ratios = {name: float(values[_key(name)]) for name in self.names}
        total = sum(ratios.values())
        return {name: ratio * len(ratios) / total for name, ratio in ratios.items()}


class WeightedTasks(keras_tuner.HyperModel):
    """Builds and trains the user's network with the weights of a trial."""

    def __init__(
        self, build: Callable[..., Any], tasks: Sequence[Task], space: Space, goal: Goal, seed: int
    ) -> None:
        self.build_network = build
        self.takes_hp = takes_hyper_parameters(build)
        self.tasks, self.space, self.goal, self.seed = tasks, space, goal, seed
        # Trainings per trial, and the index of the current one among them.
        self.executions, self.execution = 1, 0
        self.dtype_policy = keras.config.dtype_policy()
        super().__init__()

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the compiled network of a trial."""
        # Keras Tuner clears the session of Keras before each trial, and with it the dtype policy
        # and the seed (docs/keras_notes.md, pain 80). All trials begin with the same initial
        # values, so that they differ only in their weights.
        keras.config.set_dtype_policy(self.dtype_policy)
        keras.utils.set_random_seed(self.seed + self.execution)
        self.space.declare(hp)
        tasks = reweighted(self.tasks, self.space.weights(hp.values))
        network = self.build_network(*([tasks, hp] if self.takes_hp else [tasks]))
        if not isinstance(network, keras.Model) or not network.compiled:
            raise keras_tuner.errors.FatalTypeError(
                "build(tasks) must return a compiled keras.Model: call network.compile(optimizer, "
                f"**keras_mtl.compile_args(tasks)) first; received {network!r}."
            )
        if network.built:
            # Hyperband continues the training of a saved trial. Keras restores the variables of
            # an optimizer only if it is built (docs/keras_notes.md, pain 90).
            with network.distribute_strategy.scope():
                network.optimizer.build(network.trainable_variables)
        return network

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains the network of a trial, with the goal in the logs."""
        # The next training of the same trial begins with another seed; the next trial with the
        # first seed again.
        self.execution = (self.execution + 1) % self.executions
        callbacks = [LogGoal(self.goal), *kwargs.pop("callbacks", ())]
        return model.fit(*args, callbacks=callbacks, **kwargs)


def reweighted(tasks: Sequence[Task], weights: Mapping[str, float]) -> tuple[Task, ...]:
    """Returns the tasks with other weights."""
    return tuple(dataclasses.replace(task, weight=weights[task.name]) for task in tasks)


def takes_hyper_parameters(build: Callable[..., Any]) -> bool:
    """Checks the signature of `build`; returns whether it is `build(tasks, hp)`.

    Raises:
        TypeError: If it is neither `build(tasks)` nor `build(tasks, hp)`.

    Example:
        >>> takes_hyper_parameters(lambda tasks, hp: None)
        True
    """
    if not callable(build):
        raise TypeError(f"build must be a function of tasks; received {build!r}.")
    required = [
        parameter.name
        for parameter in inspect.signature(build).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) not in (1, 2):
        raise TypeError(f"build must be build(tasks) or build(tasks, hp); it takes {required}.")
    return len(required) == 2


def _key(name: str) -> str:
    return f"weight/{name}"
