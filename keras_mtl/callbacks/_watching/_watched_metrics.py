"""Which metric of each task is watched, and what counts as an improvement."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl._tasks import Mode, Task, monitor
from keras_mtl.data._elements._numbers import read_number

Baselines = Mapping[str, float | Mapping[str, float]]
"""The metric of a network of each task alone: a number by task, or a dict by metric."""


@dataclasses.dataclass(frozen=True)
class WatchedMetric:
    """Names the metric of a task that is watched.

    Args:
        task: The name of the task.
        log: The name of the metric in the logs.
        mode: Whether `"max"` or `"min"` is better.
        min_delta: By how much a value has to be better than the best one before it.
        baseline: The value of a network of this task alone; `None` if it is not known.
    """

    task: str
    log: str
    mode: Mode
    min_delta: float = 0.0
    baseline: float | None = None

    def is_better(self, value: float, best: float | None) -> bool:
        """Returns whether a value is an improvement; NaN and infinity never are."""
        if not math.isfinite(value):
            return False
        if best is None:
            return True
        # As in Keras's EarlyStopping.
        return (
            value - self.min_delta > best if self.mode == "max" else value + self.min_delta < best
        )

    def gain(self, value: float) -> float:
        """Returns the gain over the baseline, relative to it; above 0 is better."""
        assert self.baseline is not None
        difference = value - self.baseline if self.mode == "max" else self.baseline - value
        return difference / abs(self.baseline)


def read_metrics(
    tasks: Sequence[Task],
    metrics: str | Mapping[str, Any] | None,
    min_delta: float | Mapping[str, float],
    baselines: Baselines | None,
) -> tuple[WatchedMetric, ...]:
    """Returns the metric that is watched for each task.

    Args:
        tasks: The tasks.
        metrics: The name of a metric for all tasks, or for each task that is named a name or a pair
            `(name, mode)`. A task without one has its first metric whose direction is known, or
            else its loss.
        min_delta: A number for all tasks, or one per task.
        baselines: The metrics of networks of one task.

    Raises:
        ValueError: If a name is unknown, a direction is not known, or a number does not fit.
    """
    names = [task.name for task in tasks]
    by_task = dict.fromkeys(names, metrics) if isinstance(metrics, str) else dict(metrics or {})
    deltas = dict(min_delta) if isinstance(min_delta, Mapping) else dict.fromkeys(names, min_delta)
    for argument, keys in (("metrics", by_task), ("min_delta", deltas), ("baselines", baselines)):
        unknown = sorted({*(keys or {})} - {*names})
        if unknown:
            raise ValueError(f"{argument} names {unknown}, which are no tasks; expected {names}.")
    if baselines is not None and len(baselines) < len(names):
        missing = [name for name in names if name not in baselines]
        raise ValueError(f"baselines has no number for {missing}; name all tasks or none.")
    return tuple(
        _read_metric(task, by_task.get(task.name), deltas.get(task.name, 0.0), baselines)
        for task in tasks
    )


def _read_metric(
    task: Task, metric: Any, min_delta: float, baselines: Baselines | None
) -> WatchedMetric:
    if metric is None:
        directed = [name for name in task.metric_names if task.mode(name) is not None]
        metric = directed[0] if directed else "loss"
    name, mode = (metric, None) if isinstance(metric, str) else metric
    log, mode = monitor(task, name, mode=mode)
    min_delta = read_number(min_delta, f"task {task.name!r}: min_delta is", low=0)
    if baselines is None:
        return WatchedMetric(task.name, log, mode, min_delta)
    baseline = baselines[task.name]
    if isinstance(baseline, Mapping):
        if name not in baseline:
            raise ValueError(
                f"task {task.name!r}: its metric {name!r} is watched, and baselines has "
                f"{sorted(baseline)}."
            )
        baseline = baseline[name]
    number = read_number(baseline, f"task {task.name!r}: its baseline is")
    if number == 0:
        raise ValueError(f"task {task.name!r}: no gain can be relative to a baseline of 0.")
    return WatchedMetric(task.name, log, mode, min_delta, number)
