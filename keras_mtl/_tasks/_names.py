"""The names that a task, its metrics and its logs can have."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# A SavedModel has signatures and attributes with these names already.
_RESERVED = {
    "non_trainable_variables",
    "serve",
    "serving_default",
    "shared",  # begins the names of layers that belong to no task
    "signatures",
    "trainable_variables",
    "variables",
}

# The logs have these names for the losses and the weight of a task already.
_LOGS = ("best_loss", "loss", "mean_loss", "weight", "worst_loss")


def check_name(name: Any) -> None:
    """Checks that `name` can be used as the name of an output, a layer and a signature.

    Raises:
        ValueError: If it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise ValueError(
            f"task {name!r}: a task's name becomes an output, a layer and a signature. Use "
            "letters, digits, '_', '.' and '-', beginning with a letter; "
            f"{sorted(_RESERVED)} are taken."
        )


def check_metric_names(task: str, names: Iterable[str]) -> None:
    """Checks that no two metrics of a task are logged under one name.

    Raises:
        ValueError: If two metrics share a name, or a metric has the name of another log.
    """
    names = tuple(names)
    if len(set(names)) < len(names):
        raise ValueError(f"task {task!r}: two metrics share a name: {names}.")
    taken = sorted({*names} & {*_LOGS})
    if taken:
        raise ValueError(
            f"task {task!r}: the logs have {taken} already, for its loss and its weight; give the "
            "metric another name."
        )


def check_log_names(metric_names: Mapping[str, Iterable[str]]) -> None:
    """Checks that no two tasks log under one name, as `a` with `b_auc` and `a_b` with `auc` would.

    Args:
        metric_names: The names of the metrics of each task.

    Raises:
        ValueError: If two tasks do.
    """
    owners: dict[str, str] = {}
    for task, names in metric_names.items():
        for name in (*names, *_LOGS):
            for key in (f"{task}_{name}", f"val_{task}_{name}"):
                if owners.setdefault(key, task) != task:
                    raise ValueError(
                        f"the tasks {owners[key]!r} and {task!r} would both log {key!r}; rename a "
                        "task or a metric."
                    )
