"""The rule that stops a trial in which every task is worse than usual."""

import math
import statistics
from collections.abc import Sequence

from keras_mtl._tasks import Task, monitor
from keras_mtl.tuning._fronts._aims import Aims, sign_of
from keras_mtl.tuning._fronts._curves import Curve, Epoch
from keras_mtl.tuning._objectives import Goal

_FIRST_EPOCH = 1  # from 0: the first epoch says too little
_IN_A_ROW = 2  # epochs
_MIN_FINISHED = 5  # trials

TaskGoals = tuple[tuple[Goal, ...], ...]


def goals_by_task(tasks: Sequence[Task], aims: Aims) -> TaskGoals:
    """Returns for each task the values by which it is compared between trials.

    They are its gain, if baselines are known; otherwise the objectives that are metrics of this
    task; otherwise its first metric, or its loss.
    """
    return tuple(_goals_of(task, aims) for task in tasks)


def _goals_of(task: Task, aims: Aims) -> tuple[Goal, ...]:
    if task.name in aims.gains:
        return (Goal(f"val_gain/{task.name}", "max", (aims.gains[task.name],)),)
    names = {monitor(task, metric, mode="min")[0] for metric in task.metric_names}
    names |= {monitor(task, "loss")[0], f"val_{task.name}_loss"}
    if objectives := tuple(goal for goal in aims.goals if goal.name in names):
        return objectives
    known = [metric for metric in task.metric_names if task.mode(metric) is not None]
    return (Goal(*monitor(task, known[0] if known else "loss")),)


def is_poor(curve: Curve, finished: Sequence[Curve], tasks: TaskGoals) -> bool:
    """Decides whether a trial should be stopped after its last epoch.

    It should if, in each of the last two epochs, every task was worse than the median of the
    finished trials in the same epoch. A trial in which one task shines is therefore kept. The
    first epoch does not count, and there must be at least five finished trials that reached the
    epoch.

    Args:
        curve: The logs of all epochs of the trial until now.
        finished: Those of the trials that ended by themselves.
        tasks: The values of each task, from `goals_by_task`.

    Returns:
        Whether the trial is poor.
    """
    last = range(len(curve) - _IN_A_ROW, len(curve))
    return last[0] >= _FIRST_EPOCH and all(
        _is_below(
            curve[epoch], [earlier[epoch] for earlier in finished if len(earlier) > epoch], tasks
        )
        for epoch in last
    )


def _is_below(logs: Epoch, earlier: Sequence[Epoch], tasks: TaskGoals) -> bool:
    """Returns whether every value of every task is worse than the median."""
    return all(_is_worse(logs, earlier, goal) for goals in tasks for goal in goals)


def _is_worse(logs: Epoch, earlier: Sequence[Epoch], goal: Goal) -> bool:
    if not set(goal.reads) <= set(logs):
        return False  # A network that does not log a task's metric says nothing of this task.
    values = [goal.score(other) for other in earlier if set(goal.reads) <= set(other)]
    finite = [sign_of(goal) * value for value in values if math.isfinite(value)]
    if len(finite) < _MIN_FINISHED:
        return False
    # A value that is not a number is never better.
    return not sign_of(goal) * goal.score(logs) >= statistics.median(finite)
