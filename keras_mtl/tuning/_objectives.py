"""Objectives of a search: validation metrics that the searched weights do not multiply."""

import dataclasses
import difflib
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_mtl._tasks import Mode, Task, monitor
from keras_mtl._types import Tensor
from keras_mtl.tuning._divergence import check_finite_logs

Baselines = Mapping[str, float | Mapping[str, float]]

MEAN_RELATIVE_GAIN = "mean_relative_gain"
_WEIGHTED = {"loss", "val_loss"}


@dataclasses.dataclass(frozen=True)
class Gain:
    """Compares a metric of a task with the result of a model of that task alone.

    Keras Tuner adds several objectives up without scales, so that the task with the largest unit
    wins (docs/keras_notes.md, pain 47; keras-tuner#556). Relative gains have no unit.

    Args:
        log: Name of the metric in the logs.
        mode: Whether `"max"` or `"min"` is better.
        baseline: The metric of a model of this task alone, not zero.
    """

    log: str
    mode: Mode
    baseline: float

    def value(self, logs: Mapping[str, float]) -> float:
        """Computes the improvement relative to the baseline; positive is better."""
        gain = (logs[self.log] - self.baseline) / abs(self.baseline)
        return gain if self.mode == "max" else -gain


@dataclasses.dataclass(frozen=True)
class Goal:
    """Names the value to optimize.

    Args:
        name: Its name in the logs.
        mode: Whether `"max"` or `"min"` is better.
        gains: For each task, the gains of its metrics, if the value is the mean relative gain,
            which `LogGoal` adds to the logs. Empty for a metric that the network logs itself.
    """

    name: str
    mode: Mode
    gains: tuple[tuple[Gain, ...], ...] = ()

    @property
    def reads(self) -> list[str]:
        """The names of the validation metrics that the value is computed from."""
        return sorted({gain.log for gains in self.gains for gain in gains}) or [self.name]

    def score(self, logs: Mapping[str, float]) -> float:
        """Computes the relative gain, averaged over the metrics of each task, then over tasks."""
        return statistics.fmean(
            statistics.fmean(gain.value(logs) for gain in gains) for gains in self.gains
        )


class LogGoal(keras.callbacks.Callback):
    """Adds the goal to the logs of each epoch, before other callbacks read them.

    A name that is not logged stops the whole search. Otherwise Keras Tuner would count the trial
    as failed and go on to the next one, which would fail in the same way (docs/keras_notes.md,
    pains 46 and 80; keras-tuner#464). A value that is not finite fails the trial, and so does a
    loss of a task over all validation data.

    Args:
        goal: The goal.
        losses: The names of the losses, of which those count that the network logs.
    """

    def __init__(self, goal: Goal, losses: Sequence[str]) -> None:
        super().__init__()
        self.goal = goal
        self.losses = losses

    def on_epoch_end(self, epoch: int, logs: dict[str, Tensor] | None = None) -> None:
        """Checks names and values, and adds the mean relative gain, if that is the goal."""
        logs = logs if logs is not None else {}
        check_logged(self.goal.reads, logs)
        check_finite_logs(epoch, logs, [*self.goal.reads, *self.losses])
        if self.goal.gains:
            logs[self.goal.name] = self.goal.score(logs)


def check_logged(names: Sequence[str], logged: Iterable[str]) -> None:
    """Checks that the network logs the names that an objective needs.

    Raises:
        keras_tuner.errors.FatalValueError: If it does not; this stops the search.
    """
    known = sorted(logged)
    missing = sorted(set(names) - set(known))
    if not missing:
        return
    # Any other error would only fail this trial.
    close = difflib.get_close_matches(missing[0], known, n=1)
    raise keras_tuner.errors.FatalValueError(
        f"The objective needs {missing}, which the network does not log; it logs {known}. "
        + (f"Is {close[0]!r} meant? " if close else "")
        + "Take the name from keras_mtl.monitor(task, metric), and compile with "
        "keras_mtl.compile_args(tasks)."
    )


def get_goal(objective: Any, tasks: Sequence[Task], baselines: Baselines | None) -> Goal:
    """Returns the goal for the user's objective.

    Args:
        objective: `(name, mode)`, a `keras_tuner.Objective` or `"mean_relative_gain"`.
        tasks: The tasks.
        baselines: As for `search_task_weights`; only for `"mean_relative_gain"`.

    Raises:
        TypeError: If the objective is none of these.
        ValueError: If the searched weights multiply the objective, if it is not measured on
            validation data, has no direction or the wrong one, or if the baselines do not fit.

    Example:
        >>> task = Task.binary("income")
        >>> get_goal(monitor(task, "auc"), [task], None)
        Goal(name='val_income_auc', mode='max', gains=())
    """
    if isinstance(objective, str) and objective == MEAN_RELATIVE_GAIN:
        gains = tuple(_gains(task, baselines) for task in tasks)
        _check_keys(tasks, baselines)
        return Goal(f"val_{MEAN_RELATIVE_GAIN}", "max", gains)
    if baselines is not None:
        raise ValueError(f"baselines belong to objective={MEAN_RELATIVE_GAIN!r} alone.")
    name, mode = _read_pair(objective)
    _check_name(name, tasks)
    # Keras Tuner infers no direction for a metric of one output (docs/keras_notes.md, pain 46).
    if mode not in ("min", "max"):
        raise ValueError(
            f"Whether {name!r} is better low or high must be stated, as 'min' or 'max': pass "
            f"objective=keras_mtl.monitor(task, metric); received {mode!r}."
        )
    better = logged_modes(tasks).get(name)
    if better not in (None, mode):
        raise ValueError(
            f"{name!r} is better {'low' if better == 'min' else 'high'}, so the mode is "
            f"{better!r}; received {mode!r}, for which the worst trial would win."
        )
    return Goal(name, mode)


def logged_losses(tasks: Sequence[Task]) -> list[str]:
    """Returns the names of the tasks' losses over all validation data, and of the total loss.

    Plain Keras averages `val_<task>_loss` over batches, and `val_<task>_mean_loss` is over labels.
    """
    kinds = ("loss", "mean_loss")
    return ["val_loss", *(f"val_{task.name}_{kind}" for task in tasks for kind in kinds)]


def logged_modes(tasks: Sequence[Task]) -> dict[str, Mode | None]:
    """Returns the validation metrics that are known before a network exists.

    Returns:
        The direction of each metric by its name in the logs; `None` where a metric of the user's
        does not tell its direction.

    Example:
        >>> logged_modes([Task.binary("click")])
        {'val_click_auc': 'max', 'val_click_mean_loss': 'min', 'val_click_loss': 'min'}
    """
    modes: dict[str, Mode | None] = {}
    for task in tasks:
        for metric in task.metric_names:
            name, _ = monitor(task, metric, mode="min")
            modes[name] = task.mode(metric)
        name, mode = monitor(task, "loss")
        modes |= {name: mode, f"val_{task.name}_loss": "min"}
    return modes


def _read_pair(objective: Any) -> tuple[Any, Any]:
    """Returns the name and the mode of an objective."""
    if isinstance(objective, keras_tuner.Objective):
        return objective.name, objective.direction
    if isinstance(objective, str):
        return objective, None
    pair = isinstance(objective, (tuple, list)) and len(objective) == 2
    if not pair or not isinstance(objective[0], str):
        raise TypeError(
            "objective is keras_mtl.monitor(task, metric), a keras_tuner.Objective or "
            f"{MEAN_RELATIVE_GAIN!r}; received {objective!r}."
        )
    return tuple(objective)


def _check_name(name: str, tasks: Sequence[Task]) -> None:
    if name in {f"val_{task.name}_weight" for task in tasks}:
        raise ValueError(
            f"{name!r} is a task weight, not a result. Choose a metric of a task, "
            f"objective=keras_mtl.monitor(task, metric), or {MEAN_RELATIVE_GAIN!r}."
        )
    # docs/keras_notes.md, pain 48
    if name in _WEIGHTED:
        raise ValueError(
            f"{name!r} is multiplied by the weights that are searched, so the smallest weights "
            "would win, no matter how well the network learns. Choose a metric of a task, "
            f"objective=keras_mtl.monitor(task, metric), or {MEAN_RELATIVE_GAIN!r}."
        )
    if not name.startswith("val_"):
        raise ValueError(
            f"The objective must be measured on the validation data, so its name must begin with "
            f"'val_'; received {name!r}. The tasks log {sorted(logged_modes(tasks))}."
        )


def _check_keys(tasks: Sequence[Task], baselines: Baselines | None) -> None:
    unknown = sorted(set(baselines or {}) - {task.name for task in tasks})
    if unknown:
        raise ValueError(f"baselines name {unknown}, which are no tasks of this search.")


def _gains(task: Task, baselines: Baselines | None) -> tuple[Gain, ...]:
    values = (baselines or {}).get(task.name)
    if not isinstance(values, Mapping):
        # A number alone is the baseline of the task's first metric.
        values = {} if values is None or not task.metrics else {task.metric_names[0]: values}
    if not values:
        raise ValueError(
            f"task {task.name!r}: {MEAN_RELATIVE_GAIN!r} needs what a model of this task alone "
            f"reached, such as baselines={{{task.name!r}: {{'auc': 0.91}}}}; received "
            f"{baselines!r}, and the task's metrics are {list(task.metric_names)}."
        )
    for metric, value in values.items():
        if not math.isfinite(value) or value == 0:
            raise ValueError(
                f"task {task.name!r}: no gain can be relative to a baseline of {value} in "
                f"{metric!r}."
            )
    return tuple(Gain(*monitor(task, metric), float(value)) for metric, value in values.items())
