"""The objectives of a search, and the epoch from which all of them are read."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from keras_mtl._tasks import Task
from keras_mtl.tuning._fronts._curves import Curve, Epoch
from keras_mtl.tuning._objectives import Baselines, Gain, Goal, make_gains

Reference = float | Sequence[float] | Mapping[str, float]

_REFERENCE_OF_GAINS = -0.1  # a loss of 10 % in the mean, or in each task
BY_GAIN = "the best mean of the tasks' gains"
BY_RANK = "the best mean rank of the objectives"


@dataclasses.dataclass(frozen=True)
class Aims:
    """Holds the objectives of a search.

    Args:
        goals: The objectives.
        gains: The gains of the metrics of each task for which baselines are known, by task.
        num_tasks: The number of tasks.
        reference: The value of each objective from which the hypervolume is measured.
    """

    goals: tuple[Goal, ...]
    gains: dict[str, tuple[Gain, ...]]
    num_tasks: int
    reference: tuple[float, ...]

    @property
    def titles(self) -> tuple[str, ...]:
        """The names of the objectives, as the user writes them."""
        return tuple(title_of(goal) for goal in self.goals)

    @property
    def epoch_rule(self) -> str:
        """The rule that chooses an epoch, in words."""
        return BY_GAIN if len(self.gains) == self.num_tasks else BY_RANK

    def values(self, logs: Epoch) -> tuple[float, ...]:
        """Computes all objectives from the logs of one epoch."""
        return tuple(goal.score(logs) for goal in self.goals)

    def task_gains(self, logs: Epoch) -> dict[str, float]:
        """Computes the gain of each task for which baselines are known."""
        return {
            name: statistics.fmean(gain.value(logs) for gain in gains)
            for name, gains in self.gains.items()
        }

    def choose_epoch(self, curve: Curve) -> int:
        """Chooses the epoch that stands for a trial; of equal epochs, the earlier one.

        All objectives are read from this epoch. The best epochs of different objectives together
        would be a point that no network reaches. With baselines of all tasks it is the epoch of
        the best mean of the tasks' gains; otherwise that of the best mean rank, for which the
        epochs of this trial are ranked by each objective.

        Args:
            curve: The logs of all epochs, at least one.

        Returns:
            The epoch, from 0.
        """
        if self.epoch_rule == BY_GAIN:
            means = [statistics.fmean(self.task_gains(logs).values()) for logs in curve]
            return int(np.argmax(means))
        costs = [[-sign_of(goal) * goal.score(logs) for logs in curve] for goal in self.goals]
        return int(np.argmin(stats.rankdata(costs, axis=1).mean(axis=0)))


def title_of(goal: Goal) -> str:
    """Returns the name of an objective as the user writes it."""
    return goal.name.removeprefix("val_") if goal.gains else goal.name


def sign_of(goal: Goal) -> int:
    """Returns 1 for an objective that is better high, and -1 for one that is better low."""
    return 1 if goal.mode == "max" else -1


def make_aims(
    goals: Sequence[Goal],
    tasks: Sequence[Task],
    baselines: Baselines | None,
    reference: Reference | None,
) -> Aims:
    """Makes the objectives of a search.

    Raises:
        TypeError: If a reference is no number.
        ValueError: If references do not fit the objectives.
    """
    known = baselines or {}
    gains = {task.name: make_gains(task, known) for task in tasks if task.name in known}
    return Aims(tuple(goals), gains, len(tasks), _read_reference(reference, goals))


def _read_reference(reference: Any, goals: Sequence[Goal]) -> tuple[float, ...]:
    """Returns the reference of each objective."""
    titles = [title_of(goal) for goal in goals]
    if isinstance(reference, Mapping):
        if unknown := sorted(set(reference) - set(titles)):
            raise ValueError(f"reference names {unknown}; the objectives are {titles}.")
        values = [reference.get(title) for title in titles]
    elif isinstance(reference, Sequence) and not isinstance(reference, str):
        values = list(reference)
        if len(values) != len(goals):
            raise ValueError(
                f"reference has {len(values)} values for {len(goals)} objectives, {titles}."
            )
    else:
        values = [reference] * len(goals)
    return tuple(map(_read_bound, values, goals))


def _read_bound(value: Any, goal: Goal) -> float:
    if value is None and goal.gains:
        return _REFERENCE_OF_GAINS
    if value is None:
        raise ValueError(
            f"objective {goal.name!r} has a unit, so it has no default reference. Declare before "
            "the search from which value on a result counts, such as "
            f"reference={{{goal.name!r}: {0.5 if goal.mode == 'max' else 2.0}}}; the same one for "
            "all searches that are compared."
        )
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"reference of {title_of(goal)!r} must be a number; received {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"reference of {title_of(goal)!r} must be finite; received {value}.")
    return float(value)
