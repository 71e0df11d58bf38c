"""Checks of the network that the user's `build` returns, before it is trained."""

import math
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_mtl._tasks import Task
from keras_mtl.training import BalancedModel


def check_network(network: Any, tasks: Sequence[Task], check_weights: bool = True) -> None:
    """Checks that a network is compiled and trains the tasks with the weights of a trial.

    Args:
        network: The result of `build`.
        tasks: The tasks of the trial.
        check_weights: Whether the network must use the weights of the tasks.

    Raises:
        keras_tuner.errors.FatalTypeError: If it is no compiled model.
        keras_tuner.errors.FatalValueError: If it has no output for a task, or uses other weights.
    """
    if not isinstance(network, keras.Model) or not network.compiled:
        raise keras_tuner.errors.FatalTypeError(
            "build(tasks) must return a compiled keras.Model: call network.compile(optimizer, "
            f"**keras_mtl.compile_args(tasks)) first; received {network!r}."
        )
    names = getattr(network, "output_names", None)
    missing = sorted({task.name for task in tasks} - set(names or ()))
    # Keras binds the labels of a single task to a single output of any name.
    if names and missing and len(tasks) > 1:
        raise keras_tuner.errors.FatalValueError(
            f"build(tasks) returned a network without an output for task {_join(missing)}; its "
            f"outputs are {sorted(names)}. Build it from the tasks that build receives: they are "
            f"{[task.name for task in tasks]}."
        )
    if check_weights:
        _check_weights(network, tasks)


def _check_weights(network: keras.Model, tasks: Sequence[Task]) -> None:
    expected = {task.name: task.weight for task in tasks}
    if isinstance(network, BalancedModel):
        used: Any = {task.name: task.weight for task in network.tasks if task.name in expected}
        source = "BalancedModel(network, tasks, balancer)"
    else:
        used, source = _loss_weights(network), "network.compile(..., **compile_args(tasks))"
    if len(tasks) == 1 or used is None or _equal(used, expected):
        return
    raise keras_tuner.errors.FatalValueError(
        f"build(tasks) returned a network with other task weights, {used}, than those of the "
        f"trial, {expected}, so that the search would change nothing. Pass the tasks that build "
        f"receives to {source}."
    )


def _loss_weights(network: keras.Model) -> Any:
    """Returns the `loss_weights` with which Keras compiled a network; `None` if unknown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what could not be saved; nothing is
            config = network.get_compile_config()
    except (NotImplementedError, TypeError, ValueError):
        return None  # an optimizer, a loss or a metric of the user's has no config
    weights = config.get("loss_weights")
    numbers = weights.values() if isinstance(weights, Mapping) else weights or ()
    # Variables are written as dicts: their values may change in training.
    return weights if weights and not any(isinstance(n, Mapping) for n in numbers) else None


def _equal(used: Any, expected: Mapping[str, float]) -> bool:
    if isinstance(used, Mapping):
        return all(
            name in used and math.isclose(used[name], weight, rel_tol=1e-5)
            for name, weight in expected.items()
        )
    # A list is in the order of Keras's outputs, which is not that of the tasks.
    pairs = zip(sorted(used), sorted(expected.values()), strict=False)
    return all(math.isclose(a, b, rel_tol=1e-5) for a, b in pairs)


class FreshNetworks:
    """Checks that each trial has a network of its own, which starts untrained.

    It holds weak references only: the network of the last trial can be freed.
    """

    def __init__(self) -> None:
        self._previous: list[weakref.ref[Any]] = []

    def check(self, network: keras.Model) -> None:
        """Checks a network against the one before it.

        Raises:
            keras_tuner.errors.FatalValueError: If they share the optimizer or a trainable
                variable.
        """
        parts = [network.optimizer, *network.trainable_variables]
        alive = {id(part) for reference in self._previous if (part := reference()) is not None}
        shared = [part for part in parts if id(part) in alive]
        self._previous = [weakref.ref(part) for part in parts]
        if not shared:
            return
        name = getattr(shared[0], "path", type(shared[0]).__name__)
        raise keras_tuner.errors.FatalValueError(
            f"build(tasks) returned a network that shares {name!r} with that of its last call, "
            "so that a trial would go on where the trial before it stopped. Make the network and "
            "the optimizer inside build, or freeze the layers that trials share."
        )


def _join(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
