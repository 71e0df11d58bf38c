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
WORST_TASK_GAIN = "worst_task_gain"
TASK_GAINS = "task_gains"  # one objective per task
GAIN_OF_TASK = "gain/"  # followed by the name of a task, which holds no slash
_WEIGHTED = {"loss", "val_loss"}
_MAX_OBJECTIVES = 4  # With more of them, nearly all trials are on the front.


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
    """Names a value to optimize.

    Args:
        name: Its name in the logs.
        mode: Whether `"max"` or `"min"` is better.
        gains: For each task, the gains of its metrics, if the value is made of relative gains,
            and `LogGoals` adds it to the logs. Empty for a metric that the network logs itself.
        worst: Whether the value is the smallest gain of a task instead of their mean.
    """

    name: str
    mode: Mode
    gains: tuple[tuple[Gain, ...], ...] = ()
    worst: bool = False

    @property
    def reads(self) -> list[str]:
        """The names of the validation metrics that the value is computed from."""
        return sorted({gain.log for gains in self.gains for gain in gains}) or [self.name]

    def score(self, logs: Mapping[str, float]) -> float:
        """Reads the metric, or computes the mean or the smallest gain of the tasks.

        The gain of a task is the mean over its metrics.
        """
        if not self.gains:
            return float(logs[self.name])
        of_tasks = [statistics.fmean(gain.value(logs) for gain in gains) for gains in self.gains]
        return min(of_tasks) if self.worst else statistics.fmean(of_tasks)


class LogGoals(keras.callbacks.Callback):
    """Adds the goals to the logs of each epoch, before other callbacks read them.

    A name that is not logged stops the whole search. Otherwise Keras Tuner would count the trial
    as failed and go on to the next one, which would fail in the same way (docs/keras_notes.md,
    pains 46 and 80; keras-tuner#464). A value that is not finite fails the trial, and so does a
    loss of a task over all validation data.

    Args:
        goals: The goals.
        losses: The names of the losses, of which those count that the network logs.
    """

    def __init__(self, goals: Sequence[Goal], losses: Sequence[str]) -> None:
        super().__init__()
        self.goals = goals
        self.losses = losses

    def on_epoch_end(self, epoch: int, logs: dict[str, Tensor] | None = None) -> None:
        """Checks names and values, and adds the goals that are made of relative gains."""
        logs = logs if logs is not None else {}
        read = read_names(self.goals)
        check_logged(read, logs)
        check_finite_logs(epoch, logs, [*read, *self.losses])
        for goal in self.goals:
            if goal.gains:
                logs[goal.name] = goal.score(logs)


def read_names(goals: Iterable[Goal]) -> list[str]:
    """Returns the names of the validation metrics that goals are computed from."""
    return sorted({name for goal in goals for name in goal.reads})


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


def get_goals(objective: Any, tasks: Sequence[Task], baselines: Baselines | None) -> list[Goal]:
    """Returns the goals for the user's objective, or list of objectives.

    Args:
        objective: As for `search_task_weights`.
        tasks: The tasks.
        baselines: Likewise; they belong to gains, and to several objectives.

    Raises:
        TypeError: If an objective is none of these.
        ValueError: If the searched weights multiply an objective, if it is not measured on
            validation data, has no direction or the wrong one, or if the baselines do not fit; or
            if there are no objectives, too many, or one of them twice.

    Example:
        >>> task = Task.binary("income")
        >>> get_goals(monitor(task, "auc"), [task], None)
        [Goal(name='val_income_auc', mode='max', gains=(), worst=False)]
        >>> both = get_goals(["task_gains", "worst_task_gain"], [task], {"income": 0.9})
        >>> [goal.name for goal in both]
        ['val_gain/income', 'val_worst_task_gain']
    """
    entries = list(objective) if _is_list(objective) else [objective]
    goals = [goal for entry in entries for goal in _read_goals(entry, tasks, baselines)]
    _check_keys(tasks, baselines)
    if baselines is not None and len(goals) == 1 and not goals[0].gains:
        raise ValueError(
            f"baselines belong to objective={MEAN_RELATIVE_GAIN!r} and to other gains alone; "
            f"received objective={objective!r}."
        )
    names = [goal.name for goal in goals]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"objective names {', '.join(map(repr, repeated))} twice.")
    if not 1 <= len(goals) <= _MAX_OBJECTIVES:
        raise ValueError(
            f"A search takes 1 to {_MAX_OBJECTIVES} objectives, since with more of them nearly all "
            f"trials are on the front; received {len(goals)}: {names}. For more tasks pass "
            f"objective=[{MEAN_RELATIVE_GAIN!r}, {WORST_TASK_GAIN!r}]."
        )
    return goals


def _is_list(objective: Any) -> bool:
    """Returns whether it is a list of objectives, and not a pair of a name and a mode."""
    if not isinstance(objective, (tuple, list)) or isinstance(objective, keras_tuner.Objective):
        return False
    if not objective:
        return True
    # A pair begins with the name of a metric; names of gains stand alone.
    is_pair = len(objective) == 2 and isinstance(objective[0], str)
    return all(map(_is_entry, objective)) and not (is_pair and not _is_gain(objective[0]))


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, (str, tuple, list, keras_tuner.Objective))


def _is_gain(name: str) -> bool:
    names = (MEAN_RELATIVE_GAIN, WORST_TASK_GAIN, TASK_GAINS)
    return name in names or name.startswith(GAIN_OF_TASK)


def _read_goals(entry: Any, tasks: Sequence[Task], baselines: Baselines | None) -> list[Goal]:
    """Returns the goals of one entry; only `"task_gains"` has more than one."""
    if not (isinstance(entry, str) and _is_gain(entry)):
        return [_read_metric(entry, tasks)]
    if entry.startswith(GAIN_OF_TASK):
        name = entry.removeprefix(GAIN_OF_TASK)
        chosen = [task for task in tasks if task.name == name]
        if not chosen:
            raise ValueError(
                f"objective {entry!r} names the gain of task {name!r}; the tasks are "
                f"{[task.name for task in tasks]}."
            )
    else:
        chosen = list(tasks)
    gains = [make_gains(task, baselines, entry) for task in chosen]
    if entry in (MEAN_RELATIVE_GAIN, WORST_TASK_GAIN):
        return [Goal(f"val_{entry}", "max", tuple(gains), worst=entry == WORST_TASK_GAIN)]
    return [
        Goal(f"val_{GAIN_OF_TASK}{task.name}", "max", (of_task,))
        for task, of_task in zip(chosen, gains, strict=True)
    ]


def _read_metric(objective: Any, tasks: Sequence[Task]) -> Goal:
    """Returns the goal of a validation metric that the network logs."""
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
            "objective is keras_mtl.monitor(task, metric), a keras_tuner.Objective, "
            f"{MEAN_RELATIVE_GAIN!r}, {WORST_TASK_GAIN!r}, {TASK_GAINS!r}, "
            f"'{GAIN_OF_TASK}<task>', or a list of these; received {objective!r}."
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


def make_gains(
    task: Task, baselines: Baselines | None, objective: str = MEAN_RELATIVE_GAIN
) -> tuple[Gain, ...]:
    """Returns the gains of the metrics of a task for which baselines are known.

    Raises:
        ValueError: If none is known, or one is 0, of which no gain is a fraction.

    Example:
        >>> make_gains(Task.binary("income"), {"income": 0.9})
        (Gain(log='val_income_auc', mode='max', baseline=0.9),)
    """
    values = (baselines or {}).get(task.name)
    if not isinstance(values, Mapping):
        # A number alone is the baseline of the task's first metric.
        values = {} if values is None or not task.metrics else {task.metric_names[0]: values}
    if not values:
        raise ValueError(
            f"task {task.name!r}: {objective!r} needs what a model of this task alone "
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
