"""The one task that a balancer treats apart from the others."""

from typing import Any

from keras_mtl._types import Tensor


def check_main_task(argument: str, task: int | str) -> None:
    """Raises where `task` is neither a name nor a position."""
    if isinstance(task, bool) or not isinstance(task, int | str):
        raise TypeError(
            f"{argument} must be the name of a task, or its position counted from 0; "
            f"received {task!r}."
        )


def position_of(balancer: Any, argument: str, task: int | str) -> int:
    """The position of a task that is given by name or position; in `build`.

    Raises:
        ValueError: If there is no such task.
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
    """1 for the task at a position and 0 for others, of those that take part, `[K]`."""
    return balancer.present([float(task == position) for task in range(balancer.num_tasks)])
