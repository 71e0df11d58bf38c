"""The metric or metrics of each task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._metric import Metric
from keras_mtl.analysis._verdicts._modes import CHANCES, MODES, check_mode
from keras_mtl.analysis._verdicts._scorers import FUNCTIONS, SCORERS

NAMES = sorted({*SCORERS, *FUNCTIONS})


def read_metrics(metrics: Any, tasks: Sequence[str]) -> dict[str, list[Metric]]:
    """Returns the metrics of each task, each with its direction.

    Args:
        metrics: A name or a `Metric`, or a sequence of them, for all tasks; or a dict of these.
        tasks: The names of the tasks.

    Raises:
        TypeError: If a metric is neither a name nor a `Metric`.
        ValueError: If a name is unknown, a direction is unknown, or a dict has other tasks.
    """
    if not isinstance(metrics, Mapping):
        metrics = dict.fromkeys(tasks, metrics)
    if set(metrics) != set(tasks):
        raise ValueError(
            f"metrics has the tasks {sorted(map(str, metrics))}; expected those of the labels, "
            f"{sorted(tasks)}."
        )
    return {task: _read_task(metrics[task], task) for task in tasks}


def _read_task(metrics: Any, task: str) -> list[Metric]:
    several = (
        metrics if isinstance(metrics, Sequence) and not isinstance(metrics, str) else [metrics]
    )
    read = [_read_metric(metric, task) for metric in several]
    names = [metric.name for metric in read]
    if not names or len({*names}) < len(names):
        raise ValueError(
            f"task {task!r} has the metrics {names}; expected one or more names, once."
        )
    return read


def _read_metric(metric: Any, task: str) -> Metric:
    if isinstance(metric, str):
        metric = Metric(metric)
    if not isinstance(metric, Metric):
        raise TypeError(
            f"task {task!r}: metric is {metric!r}; expected a name or a Metric. A function needs a "
            "direction: Metric('name', function, mode='max')."
        )
    if metric.function is None:
        if metric.name not in NAMES:
            raise ValueError(
                f"task {task!r}: metric {metric.name!r} is unknown; expected one of {NAMES}, or "
                "Metric('name', function, mode='max')."
            )
        if metric.mode not in (None, MODES[metric.name]):
            raise ValueError(
                f"task {task!r}: {metric.name!r} is better {MODES[metric.name]!r}, and mode is "
                f"{metric.mode!r}. Leave the mode out."
            )
    elif metric.mode is None:
        raise ValueError(
            f"task {task!r}: metric {metric.name!r} is a function without a direction; pass "
            f"Metric({metric.name!r}, function, mode='max') or mode='min'."
        )
    mode = check_mode(metric.mode, metric.name, task)
    chance = metric.chance
    if chance is None and metric.function is None:
        chance = CHANCES.get(metric.name)
    return dataclasses.replace(metric, mode=mode, chance=chance)


def threshold_of(metric: Metric, model: str, column: int | None) -> Any:
    """Returns the threshold of a model: a number, or one per seed `[S]`, for a column.

    Raises:
        ValueError: If a dict of thresholds has other keys than the two models.
    """
    threshold = metric.threshold
    if isinstance(threshold, Mapping):
        if set(threshold) != {"baseline", "contender"}:
            raise ValueError(
                f"threshold has the keys {sorted(map(str, threshold))}; expected 'baseline' and "
                "'contender'."
            )
        threshold = threshold[model]
    values = np.asarray(threshold, np.float64)
    return values[:, column] if values.ndim == 2 and column is not None else values
