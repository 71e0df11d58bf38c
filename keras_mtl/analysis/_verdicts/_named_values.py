"""Values by task, or by task and metric."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._verdicts._modes import CHANCES, Mode, check_mode

Key = tuple[str, str]
"""A task and a metric."""


def read_values(values: Any, argument: str, ndim: int = 0) -> dict[Key, FloatArray]:
    """Reads values by task, or by task and metric. A value without a metric is named by its task.

    Args:
        values: The dict.
        argument: Its name in an error.
        ndim: 0 for one number per metric, 1 for one number per seed.

    Raises:
        TypeError: If the values are no dict, or a value is no number.
        ValueError: If there is no value, or one is missing or infinite.
    """
    if hasattr(values, "columns") and hasattr(values, "items"):  # a data frame: a column per task
        values = dict(values.items())
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument} is a {type(values).__name__}; expected a dict by task, such as "
            "{'income': {'auc': 0.94}}."
        )
    flat: dict[Key, FloatArray] = {}
    for task, entry in values.items():
        entries = entry if isinstance(entry, Mapping) else {task: entry}
        if not entries:
            raise ValueError(f"{argument}: task {task!r} has no metric; expected at least one.")
        for metric, value in entries.items():
            where = f"{argument}: task {task!r}, metric {metric!r}"
            flat[str(task), str(metric)] = _read_finite(value, where, ndim)
    if not flat:
        raise ValueError(f"{argument} is empty; expected at least one task.")
    return flat


def _read_finite(value: Any, where: str, ndim: int) -> FloatArray:
    numbers = read_numbers(value, where)
    if numbers.ndim != ndim:
        kind = "one number per seed" if ndim else "one number"
        raise ValueError(f"{where} has shape {numbers.shape}; expected {kind}.")
    infinite = ~(abs(numbers) < float("inf"))  # NaN included
    if infinite.any():
        raise ValueError(f"{where} is {value}; expected finite numbers.")
    return numbers


def in_order(
    values: dict[Key, FloatArray], keys: list[Key], name: str, reference: str
) -> list[FloatArray]:
    """Returns the values in the order of the keys, which are those of the reference.

    Raises:
        ValueError: If the values are of other tasks or metrics.
    """
    if values.keys() != {*keys}:
        alone = [f"{name} alone has {key}" for key in values if key not in keys]
        alone += [f"{reference} alone has {key}" for key in keys if key not in values]
        raise ValueError(
            f"{name} and {reference} differ in (task, metric): {'; '.join(alone[:4])}. Pass the "
            "same tasks and metrics to both."
        )
    return [values[key] for key in keys]


def read_modes(directions: Any, keys: list[Key]) -> list[Mode]:
    """Returns the direction of each metric.

    Args:
        directions: `None`, `"max"` or `"min"` for all, or a dict by metric. Metrics that the dict
            does not hold have the direction of their names.
        keys: The tasks and metrics.

    Raises:
        ValueError: If a direction is unknown, or the dict holds a metric that does not occur.
    """
    stated = directions if isinstance(directions, Mapping) else {}
    _check_names(stated, keys, "directions")
    common = None if isinstance(directions, Mapping) else directions
    return [check_mode(stated.get(metric, common), metric, task) for task, metric in keys]


def read_chances(chance: Mapping[str, float] | None, keys: list[Key]) -> list[float | None]:
    """Returns the score by chance of each metric: as stated, or as its name says, or `None`.

    Raises:
        ValueError: If the dict holds a metric that does not occur.
    """
    stated = chance or {}
    _check_names(stated, keys, "chance")
    return [stated.get(metric, CHANCES.get(metric)) for _, metric in keys]


def _check_names(stated: Mapping[str, Any], keys: list[Key], argument: str) -> None:
    metrics = {metric for _, metric in keys}
    unknown = sorted(map(str, set(stated) - metrics))
    if unknown:
        raise ValueError(
            f"{argument} has {unknown}; expected names of metrics, which are {sorted(metrics)}."
        )
