"""The networks of all contenders and of the baseline, each built once to check it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner

from keras_mtl._tasks import Task
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.studies._contenders._contender import BASELINE, Contender
from keras_mtl.studies._contenders._network import MakeOptimizer, Network
from keras_mtl.studies._contenders._settings import Rates
from keras_mtl.tuning._weighted_tasks import takes_hyper_parameters


def read_contenders(
    contenders: Any, tasks: tuple[Task, ...], baseline: Any
) -> dict[str, Contender]:
    """Returns the contenders by name, the baseline first.

    Args:
        contenders: By name, functions that build networks, or contenders.
        tasks: The tasks.
        baseline: A function that builds the networks of the baseline, the name of the contender
            whose function does, or `None` for the first contender.

    Raises:
        TypeError: If they are no dict, or one of them is no function.
        ValueError: If there is none, or one has the name of the baseline, or groups of other tasks.
    """
    if not isinstance(contenders, Mapping):
        raise TypeError(
            f"contenders is a {type(contenders).__name__}; expected a dict from a name to "
            "build(tasks): {'hard sharing': lambda tasks: architectures.hard_sharing(x, tasks)}."
        )
    if not contenders or BASELINE in contenders:
        raise ValueError(
            f"contenders are {list(contenders)}; expected at least one, and none that is named "
            f"{BASELINE!r}, which is the baseline that the study makes."
        )
    read = {}
    names = {task.name for task in tasks}
    for name, contender in contenders.items():
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"a contender is named {name!r}; expected a text.")
        read[name] = _read(name, contender)
        grouped = {task for group in read[name].groups or () for task in group}
        if grouped and grouped != names:
            raise ValueError(
                f"contender {name!r} groups the tasks {sorted(grouped)}; expected each of "
                f"{sorted(names)} in one group."
            )
    build = _read_baseline(baseline, read)
    apart = tuple((task.name,) for task in tasks)
    return {BASELINE: Contender(build, groups=apart), **read}


def _read(name: str, contender: Any) -> Contender:
    read = contender if isinstance(contender, Contender) else Contender(contender)
    try:
        takes_hyper_parameters(read.build)
    except TypeError as error:
        raise TypeError(
            f"contender {name!r}: {error} A network that is built already cannot be compared: "
            "each training needs a new one."
        ) from error
    return read


def _read_baseline(baseline: Any, contenders: Mapping[str, Contender]) -> Callable[..., Any]:
    if baseline is None:
        return next(iter(contenders.values())).build
    if isinstance(baseline, str):
        if baseline not in contenders:
            raise ValueError(
                f"baseline is {baseline!r}; expected the name of a contender, {list(contenders)}, "
                "or a function build(tasks)."
            )
        return contenders[baseline].build
    return _read("baseline", baseline).build


def read_rates(learning_rate: Any) -> Rates:
    """Returns the bounds of the learning rate, equal ones for a fixed rate.

    Raises:
        ValueError: If it is neither a number above 0 nor a pair of such numbers.
    """
    values = learning_rate if isinstance(learning_rate, tuple | list) else [learning_rate] * 2
    if len(values) != 2:
        raise ValueError(f"learning_rate is {learning_rate!r}; expected a number, or a pair.")
    low, high = (read_number(rate, "learning_rate:", low=0.0, above=True) for rate in values)
    if low > high:
        raise ValueError(f"learning_rate is {learning_rate!r}; expected the lower bound first.")
    return low, high


def read_optimizer(optimizer: Any) -> MakeOptimizer:
    """Returns a function from a learning rate to an optimizer.

    Raises:
        TypeError: If it is an optimizer already, or no function.
    """
    if isinstance(optimizer, str):
        kind = type(keras.optimizers.get(optimizer))
        return lambda rate: kind(learning_rate=rate)
    if isinstance(optimizer, keras.optimizers.Optimizer) or not callable(optimizer):
        raise TypeError(
            f"optimizer is {optimizer!r}; expected a function from a learning rate to a new "
            "optimizer, such as keras.optimizers.Adam or lambda rate: AdamW(rate), since each "
            "training needs its own."
        )
    make: MakeOptimizer = optimizer
    return make


def read_networks(
    contenders: Mapping[str, Contender],
    tasks: tuple[Task, ...],
    optimizer: MakeOptimizer,
    rates: Rates,
) -> list[Network]:
    """Returns the networks of all contenders, in their order.

    Each is built once. One that is compiled already, and has no weights or hyper-parameters to
    search, has nothing to try: its learning rate is its own.

    Raises:
        TypeError: If a builder returns no model.
        ValueError: If the outputs of a network are not its tasks, or it is shared by two calls.
    """
    networks = []
    by_name = {task.name: task for task in tasks}
    all_names = tuple(by_name)
    for name, contender in contenders.items():
        for index, group in enumerate(contender.groups_of(all_names)):
            parts = tuple(by_name[task] for task in all_names if task in group)
            network = Network(
                name, index, contender.build, parts, optimizer, rates, contender.ratio
            )
            networks.append(_tried(network, compare=index == 0))
    return networks


def _tried(network: Network, compare: bool) -> Network:
    """Builds a network once, or twice to compare the builds; returns what is known of it then."""
    model = _build(network)
    if compare:
        variables = {id(variable) for variable in model.trainable_variables}
        shared = [v for v in _build(network).trainable_variables if id(v) in variables]
        if shared:
            raise ValueError(
                f"contender {network.contender!r}: two calls of its build(tasks) share the "
                f"variable {shared[0].path!r}, so that a training would go on where the one "
                "before it stopped. Make all layers inside build, or freeze those that it shares."
            )
    if not model.compiled:
        return network
    return dataclasses.replace(network, is_compiled=True)


def _build(network: Network) -> keras.Model:
    hp = [keras_tuner.HyperParameters()] if network.takes_hp else []
    try:
        model = network.build(network.tasks, *hp)
    except Exception as error:
        error.add_note(
            f"This is contender {network.contender!r}, built for the tasks {list(network.names)}."
            + (
                " The baseline is built by the function of the first contender, for one task at a "
                "time; pass baseline=build if that function needs all tasks."
                if network.contender == BASELINE
                else ""
            )
        )
        raise
    network.check(model)
    return model
