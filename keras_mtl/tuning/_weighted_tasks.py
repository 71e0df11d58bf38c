"""A hypermodel of Keras Tuner whose hyper-parameters are the task weights."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import keras_tuner

from keras_mtl._keras_internals import make_step_variables
from keras_mtl._tasks import Task
from keras_mtl.tuning._divergence import FailDiverged
from keras_mtl.tuning._effect import WeightEffect
from keras_mtl.tuning._network_checks import FreshNetworks, check_network
from keras_mtl.tuning._objectives import Goal, LogGoals, logged_losses, read_names
from keras_mtl.tuning._space import SearchedWeights, Space

_MAX_ERRORS = 3  # trials in a row that end with an error


class WeightedTasks(keras_tuner.HyperModel):
    """Builds and trains the user's network with the weights of a trial."""

    def __init__(
        self,
        build: Callable[..., Any],
        tasks: Sequence[Task],
        space: SearchedWeights,
        goals: Sequence[Goal],
        seed: int,
    ) -> None:
        self.build_network = build
        self.takes_hp = takes_hyper_parameters(build)
        self.tasks, self.space, self.goals, self.seed = tasks, space, tuple(goals), seed
        # Trainings per trial, and the index of the current one among them.
        self.executions, self.execution = 1, 0
        self.dtype_policy = keras.config.dtype_policy()
        self._fresh, self._effect = FreshNetworks(), WeightEffect(tasks, self.takes_hp)
        self._errors = 0
        self._batch: Any = None
        super().__init__()

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the compiled network of a trial."""
        # Keras Tuner clears the session of Keras before each trial, and with it the dtype policy
        # and the seed (docs/keras_notes.md, pain 80). All trials begin with the same initial
        # values, so that they differ only in their weights.
        keras.config.set_dtype_policy(self.dtype_policy)
        keras.utils.set_random_seed(self.seed + self.execution)
        self.space.declare(hp)
        tasks = self.space.apply(self.tasks, hp.values)
        with self._count_errors():
            network = self.build_network(*([tasks, hp] if self.takes_hp else [tasks]))
        check_network(network, tasks, check_weights=isinstance(self.space, Space))
        self._fresh.check(network)
        # Hyperband continues the training of a saved trial. Keras restores the variables of an
        # optimizer only if it is built (docs/keras_notes.md, pain 90).
        make_step_variables(network)
        return network

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains the network of a trial of Keras Tuner, with the goals in the logs."""
        # Keras Tuner's callbacks, which keep the best epoch, come last.
        *callbacks, tuner_callback, save_best = kwargs.pop("callbacks")
        last = (tuner_callback, save_best)
        return self.train(hp, model, *args, callbacks=callbacks, last=last, **kwargs)

    def train(
        self,
        hp: keras_tuner.HyperParameters,
        network: keras.Model,
        *args: Any,
        callbacks: Sequence[keras.callbacks.Callback],
        last: Sequence[keras.callbacks.Callback],
        **kwargs: Any,
    ) -> Any:
        """Trains the network of a trial, with the goals in the logs.

        Args:
            hp: The hyper-parameters of the trial.
            network: The network that `build` made.
            *args: The training data.
            callbacks: Those of the user.
            last: Those of the engine, which see only epochs that have not diverged.
            **kwargs: Other arguments of `fit`.

        Returns:
            The history of the training.
        """
        # The next training of the same trial begins with another seed; the next trial with the
        # first seed again.
        execution = self.execution
        self.execution = (execution + 1) % self.executions
        if self._batch is None:
            self._batch = next(iter(kwargs["validation_data"].take(1)))
        losses = logged_losses(self.tasks)
        callbacks = [
            # Before and after callbacks of the user's, which may change the logs.
            LogGoals(self.goals, losses),
            *callbacks,
            FailDiverged([*read_names(self.goals), *losses], self.tasks, self._batch),
            *last,
        ]
        with self._count_errors():
            history = network.fit(*args, callbacks=callbacks, **kwargs)
        self._errors = 0
        weights = self.space.weights(hp.values)
        self._effect.check(weights, execution, hp.values, history.history)
        return history

    @contextlib.contextmanager
    def _count_errors(self) -> Iterator[None]:
        """Stops the search after some trials in a row that ended with an error of the user's.

        A trial that diverged is no error: others may do well.
        """
        try:
            yield
        except Exception as error:
            self.execution = 0  # of the next trial, which begins with the first seed
            self._errors += 1
            if isinstance(error, keras_tuner.errors.FailedTrialError):
                self._errors = 0
            if isinstance(error, keras_tuner.errors.FatalError) or self._errors < _MAX_ERRORS:
                raise
            raise keras_tuner.errors.FatalRuntimeError(
                f"{_MAX_ERRORS} trials in a row ended with an error; the last one was "
                f"{type(error).__name__}: {error}"
            ) from error


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
        parameter
        for parameter in inspect.signature(build).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    names = [parameter.name for parameter in required]
    by_keyword = any(parameter.kind == parameter.KEYWORD_ONLY for parameter in required)
    if len(names) not in (1, 2) or by_keyword or names[0] == "hp":
        raise TypeError(f"build must be build(tasks) or build(tasks, hp); it takes {names}.")
    return len(names) == 2
