"""The numbers that a user gives a balancer: checked, and as they are kept in a configuration."""

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


def check_seed(seed: int) -> None:
    """Raises where a seed is no whole number of 32 bits."""
    if seed != int(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2^32 - 1; got {seed!r}.")


def plain(value: Any) -> Any:
    """A number, sequence or mapping by task as JSON takes it."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value
