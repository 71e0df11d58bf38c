"""The constructor arguments of balancers: their checks, and their form in a configuration."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl._types import Tensor


def check_numbers(
    argument: str,
    value: float | Sequence[float] | Mapping[str, float],
    low: float = 0.0,
    high: float = math.inf,
) -> None:
    """Checks that all numbers of an argument are finite and in a range.

    Args:
        argument: Name of the argument, for the message.
        value: A number, a sequence of numbers, or a dict from task name to number.
        low: The smallest number allowed. Defaults to `0.0`.
        high: The largest number allowed. Defaults to infinity.

    Raises:
        ValueError: If a number is not finite or out of range; the message names its task.
    """
    if isinstance(value, Mapping):
        entries: list[tuple[Any, float]] = list(value.items())
    else:
        entries = list(enumerate(value if isinstance(value, Sequence) else (value,)))
    for task, entry in entries:
        if isinstance(entry, str) or not (math.isfinite(entry) and low <= entry <= high):
            where = f" of task {task!r}" if len(entries) > 1 else ""
            raise ValueError(
                f"{argument}{where} must be a finite number from {low:g} to {high:g}; "
                f"received {entry!r}."
            )


def check_seed(seed: int) -> None:
    """Checks that a seed is a whole number of 32 bits.

    Raises:
        ValueError: If it is not.
    """
    if seed != int(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2^32 - 1; got {seed!r}.")


def plain(value: Any) -> Any:
    """Converts a number, sequence or mapping by task name to the types that JSON knows."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value


def check_main_task(argument: str, task: int | str) -> None:
    """Checks that the argument for a main task is the name or the position of a task.

    The main task is the one task that a balancer treats differently from the others. Whether it
    exists is known only in `build`: see `position_of`.

    Raises:
        TypeError: If it is neither a string nor an integer.
    """
    if isinstance(task, bool) or not isinstance(task, int | str):
        raise TypeError(
            f"{argument} must be the name of a task, or its position counted from 0; "
            f"received {task!r}."
        )


def position_of(balancer: Any, argument: str, task: int | str) -> int:
    """Returns the position of a main task, from its name or position; call it in `build`.

    Args:
        balancer: The balancer, which knows the number of tasks and, after `bind`, their names.
        argument: Name of the argument, for the message.
        task: The name of the task, or its position counted from 0.

    Returns:
        The position, from 0 to K - 1.

    Raises:
        ValueError: If there is no such task, or a name is given and no names are known.
    """
    names = balancer.task_names
    if isinstance(task, int):
        if not 0 <= task < balancer.num_tasks:
            raise ValueError(
                f"{balancer.name}: {argument} must be a position from 0 to "
                f"{balancer.num_tasks - 1}; received {task}."
            )
        return task
    if names is None:
        raise ValueError(
            f"{balancer.name}: {argument} goes by task name and no names are known; use the "
            "balancer in a BalancedModel, call bind(names) first, or give a position."
        )
    if task not in names:
        raise ValueError(
            f"{balancer.name}: {argument} must be one of the tasks {names}; received {task!r}."
        )
    return int(names.index(task))


def mask_of(balancer: Any, position: int) -> Tensor:
    """Returns 1 for the task at a position and 0 for the other active tasks, `[K]`."""
    return balancer.select_active([float(task == position) for task in range(balancer.num_tasks)])
