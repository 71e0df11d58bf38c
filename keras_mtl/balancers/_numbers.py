"""Checks of the numbers that a user gives a balancer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def check_numbers(
    argument: str,
    value: float | Sequence[float] | Mapping[str, float],
    low: float = 0.0,
    high: float = math.inf,
) -> None:
    """Raises where a number, or one of a sequence or dict, is not finite or out of range."""
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
