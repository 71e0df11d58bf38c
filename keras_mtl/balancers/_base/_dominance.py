"""A warning of a task that takes all the weight."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

SHARE = 0.99
"""The share of all task weights above which a warning names the task."""


def dominant_task(names: tuple[str, ...], logs: Mapping[str, float]) -> tuple[str, float] | None:
    """Finds the task that held more than `SHARE` of the weight in an epoch.

    Tasks that took no part in the epoch are left out. The columns of a task count together.

    Args:
        names: The names of the losses, `task` or `task/column`.
        logs: The logs of the epoch.

    Returns:
        Its name and its share; `None` if there is none, or only one task took part.
    """
    weights: dict[str, float] = {}
    for name in names:
        task = name.partition("/")[0]
        weight, loss = logs.get(f"{task}_weight"), logs.get(f"{task}_loss")
        if weight is None or loss is None or not math.isfinite(weight):
            continue
        # A task without labels has a mean loss of 0. A weight may be too small for float32.
        if weight > 0.0 or (math.isfinite(loss) and loss != 0.0):
            weights[task] = weights.get(task, 0.0) + weight
    total = sum(weights.values())
    if len(weights) < 2 or not total > 0.0:
        return None
    task = max(weights, key=weights.__getitem__)
    share = weights[task] / total
    return (task, share) if share > SHARE else None


def warn_of_dominance(
    balancer: Any, logs: Mapping[str, float] | None, cure: str, *, warned: bool
) -> bool:
    """Warns once of a task that held nearly all the weight in an epoch.

    Args:
        balancer: The balancer; it must know the names of the tasks, or nothing is warned of.
        logs: The logs of the epoch, if there are any.
        cure: What to do, a sentence.
        warned: Whether the balancer has warned before.

    Returns:
        Whether the balancer has warned by now.
    """
    dominant = None
    if not warned and logs is not None and balancer.task_names is not None:
        dominant = dominant_task(balancer.task_names, logs)
    if dominant is None:
        return warned
    task, share = dominant
    warnings.warn(
        f"{balancer.name}: the task {task!r} has held {share:.1%} of the task weight for an epoch, "
        f"so that the other tasks hardly train. {cure}",
        stacklevel=3,
    )
    return True
