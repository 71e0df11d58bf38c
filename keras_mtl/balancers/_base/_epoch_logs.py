"""Metrics that a balancer reads from the logs of an epoch."""

import math
from collections.abc import Mapping
from typing import Any


def check_metric(metric: str | Mapping[str, str]) -> None:
    """Checks that a pattern of log keys has a place for the name of the task.

    Raises:
        ValueError: If `metric` is a string without `{task}`.
    """
    if isinstance(metric, str) and "{task}" not in metric:
        raise ValueError(
            f"metric must hold '{{task}}', which stands for the name of a task, as in "
            f"'val_{{task}}_auc', or be a dict from task to log key; received {metric!r}."
        )


def log_keys(balancer: Any, metric: str | Mapping[str, str]) -> dict[str, str]:
    """Returns the log key of each task.

    Args:
        balancer: The balancer that reads; it must know the names of the tasks.
        metric: A log key with `{task}` in it (the key of a task's column ends in the name of the
            column), or a dict from task name to log key.

    Raises:
        ValueError: If the names of the tasks are unknown, or `metric` does not name exactly the
            tasks.
    """
    names = balancer.task_names
    if names is None:
        raise ValueError(
            f"{balancer.name}: no names of tasks are known; use the balancer in a BalancedModel, "
            "or call bind(names) first."
        )
    if isinstance(metric, Mapping):
        if set(metric) != set(names):
            raise ValueError(
                f"{balancer.name}: metric must have exactly the tasks {names}; received "
                f"{sorted(metric)}."
            )
        return {name: metric[name] for name in names}
    return {name: _log_key(metric, name) for name in names}


def read_logs(
    balancer: Any, metric: str | Mapping[str, str], logs: Mapping[str, float]
) -> tuple[float, ...]:
    """Returns the logged value of each task, NaN where it is not finite.

    Args:
        balancer, metric: As in `log_keys`.
        logs: The values that Keras logged for the epoch, by name.

    Returns:
        K numbers.

    Raises:
        ValueError: If the logs do not hold a key, and as in `log_keys`.
    """
    values = []
    for name, key in log_keys(balancer, metric).items():
        if key not in logs:
            of_column = " name the column in the task's log_columns=," if "/" in name else ""
            raise ValueError(
                f"{balancer.name}: the epoch's logs have no {key!r}, which is read for the task "
                f"{name!r}; there are {sorted(logs)}. Name one of them in metric=,{of_column} and "
                "give fit validation_data where it begins with 'val_'."
            )
        value = float(logs[key])
        values.append(value if math.isfinite(value) else math.nan)
    return tuple(values)


def _log_key(metric: str, name: str) -> str:
    """Returns the log key of a task.

    For a column, which a balancer knows as `task/column`, it is the key under which the task
    logs that column separately: the task's key, followed by `_column`.
    """
    task, _, column = name.partition("/")
    key = metric.replace("{task}", task)
    return f"{key}_{column}" if column else key
