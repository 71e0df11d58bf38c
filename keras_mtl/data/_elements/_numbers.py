"""Numbers that users give, of whatever kind: Python's, NumPy's, or arrays without axes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl._tasks import Task

_NO_NUMBERS = "bSUmM"  # dtypes of booleans, strings, time spans and dates


def read_number(
    value: Any,
    subject: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    above: bool = False,
    below: bool = False,
) -> float:
    """Returns a number as Python's float; checks that it is one, and finite.

    Args:
        value: Should be a number of Python or NumPy, or an array or tensor without axes.
        subject: The beginning of the message, such as `"task 'topic': class 1 weighs"`.
        low: The smallest number that is allowed.
        high: The largest number that is allowed.
        above: Whether `low` itself is refused.
        below: Whether `high` itself is refused.

    Raises:
        ValueError: If the value is a boolean, a string, NaN, infinite, out of range, or no number
            at all.
    """
    number = _to_float(value)
    inside = low < number if above else low <= number
    inside = inside and (number < high if below else number <= high)
    if inside and np.isfinite(number):
        return number
    bounds = f" {'>' if above else '>='} {low:g}" if low > -np.inf else ""
    if high < np.inf:
        bounds += f" {'and' if bounds else ''} {'<' if below else '<='} {high:g}".replace("  ", " ")
    raise ValueError(f"{subject} {_brief(value)}; expected a finite number{bounds}.")


def read_whole(value: Any, subject: str, *, low: int = 1) -> int:
    """Returns a whole number as Python's int.

    Raises:
        ValueError: If the value is no whole number of at least `low`, or a boolean or a string.
    """
    number = _to_float(value)
    if not (np.isfinite(number) and number == np.floor(number) and number >= low):
        raise ValueError(f"{subject} {_brief(value)}; expected a whole number >= {low}.")
    return int(np.asarray(value).item())


def read_classes(values: Any, task: Task, noun: str) -> dict[float, float]:
    """Returns a number >= 0 for each of some classes of a task.

    Args:
        values: A mapping from class to number (a Series of pandas is one), or, where the task
            says how many classes it has, a sequence with one number per class.
        task: The task.
        noun: What a class does with its number, such as `"weighs"`.

    Raises:
        ValueError: If a class is none of the task's, or its number is none. The message names
            both.
    """
    entries = dict(_pairs(values, task))
    numbers = {}
    for value, number in entries.items():
        key = _read_class(value, task)
        subject = f"task {task.name!r}: class {key:g} {noun}"
        numbers[int(key) if key == int(key) else key] = read_number(number, subject, low=0)
    return numbers


def _pairs(values: Any, task: Task) -> Any:
    """Returns the pairs of class and number in a mapping or a sequence."""
    if isinstance(values, Mapping) or callable(getattr(values, "items", None)):
        return values.items()
    size = num_classes(task)
    sequence = isinstance(values, list | tuple) or getattr(values, "ndim", 0) == 1
    if size is None or not sequence or len(values) != size:
        classes = "" if size is None else f", or a sequence of {size} numbers"
        raise ValueError(
            f"task {task.name!r}: expected a dict from class to number{classes}; received "
            f"{_brief(values)}."
        )
    return enumerate(values, int(task.labels.low or 0) if task.labels else 0)


def _read_class(value: Any, task: Task) -> float:
    """Returns a class as a number; checks that it is one of the task's."""
    subject = f"task {task.name!r}: a class is named"
    size = num_classes(task)
    if size is None or task.labels is None:
        return read_number(value, subject)
    low = int(task.labels.low or 0)
    high = low + size - 1
    number = _to_float(value)
    if not low <= number <= high or number != int(number):
        raise ValueError(
            f"{subject} {_brief(value)}; expected a whole number from {low} to {high}."
        )
    return number


def num_classes(task: Task) -> int | None:
    """Returns the number of a task's classes; `None` where its labels are numbers or unknown."""
    labels = task.labels
    if labels is None or labels.low is None or labels.high is None:
        return None
    if labels.one_hot:
        return labels.shape[-1]
    return int(labels.high - labels.low) + 1


def _to_float(value: Any) -> float:
    """Returns a number as a float; NaN where the value is no number."""
    try:
        array = np.asarray(value)
        if array.ndim or array.dtype.kind in _NO_NUMBERS:
            return float("nan")
        return float(array.item())
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _brief(value: Any) -> str:
    """Returns a value as it is written in a message: a NumPy scalar as a plain number."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 80 else text[:77] + "..."
