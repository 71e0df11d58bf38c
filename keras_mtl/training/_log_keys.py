"""The keys that a balancer reads from the logs of an epoch."""

from collections.abc import Collection, Mapping
from typing import Any


def of_training_alone(model: Any) -> list[str]:
    """Returns the keys that a `BalancedModel` logs in training, and not in evaluation."""
    weights = [f"{task.name}_weight" for task in model.tasks]
    return weights if model.modulate is None else [*weights, *model.modulate.log_names]


def check_log_keys(
    balancer: str,
    keys: Mapping[str, str],
    *,
    logged: Collection[str],
    weights: Collection[str],
    validated: bool,
    validation_freq: Any,
) -> None:
    """Checks, before training, that the logs of each epoch will have the keys that are read.

    Args:
        balancer: The balancer's kind, for messages.
        keys: The keys that it reads, by task.
        logged: The keys of training. Those of validation are the same, after `val_`.
        weights: Those of them that validation does not log.
        validated: Whether there are validation data.
        validation_freq: As in `fit`.

    Raises:
        ValueError: If one of them will not be logged.
    """
    of_validation = [f"val_{key}" for key in logged if key not in weights]
    for task, key in keys.items():
        reads = f"{balancer} reads {key!r} for the task {task!r} at the end of each epoch, "
        if key not in [*logged, *of_validation]:
            known = sorted(of_validation if key.startswith("val_") else logged)
            of_column = " Name the column in the task's log_columns=." if "/" in task else ""
            raise ValueError(
                f"{reads}and no such key will be logged; there will be {known}. Name one of "
                f"them in metric=.{of_column}"
            )
        if key in logged:
            continue
        if not validated:
            raise ValueError(
                f"{reads}and fit has no validation data. Pass validation_data=, or name a key of "
                "training in metric=, without 'val_'."
            )
        if validation_freq != 1:
            raise ValueError(
                f"{reads}and validation_freq={validation_freq} leaves epochs without it. Use "
                "validation_freq=1."
            )
