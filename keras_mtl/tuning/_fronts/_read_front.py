"""Makes the result of a search from its trials."""

import warnings
from collections.abc import Sequence
from typing import Any

from keras_mtl import analysis
from keras_mtl._tasks import Task
from keras_mtl.tuning._fronts._aims import Aims
from keras_mtl.tuning._pareto_result import ParetoResult, ParetoTrial

_MAX_REASONS = 5  # in one message


def read_front(
    trials: Sequence[ParetoTrial], tasks: Sequence[Task], aims: Aims, study: Any
) -> ParetoResult:
    """Makes the result; warns of failed trials.

    Raises:
        RuntimeError: If no trial is complete.
    """
    failed = [trial for trial in trials if trial.state == "failed"]
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        raise RuntimeError(
            f"No trial of the search ended with a score: {len(failed)} of {len(trials)} failed. "
            + _list_reasons(failed)
        )
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(trials)} trials of the search failed and are not on the front. "
            + _list_reasons(failed),
            stacklevel=5,
        )
    front = _front_of(complete, aims)
    front.sort(key=lambda trial: trial.values[aims.titles[0]], reverse=aims.goals[0].mode == "max")
    return ParetoResult(
        aims.titles,
        tuple(goal.mode for goal in aims.goals),
        tuple(front),
        tuple(trials),
        dict(zip(aims.titles, aims.reference, strict=True)),
        _measure(trials, aims),
        aims.epoch_rule,
        tuple(tasks),
        sum(trial.epochs for trial in trials),
        sum(trial.seconds for trial in trials),
        study,
    )


def _front_of(trials: Sequence[ParetoTrial], aims: Aims) -> list[ParetoTrial]:
    """Returns the trials that no other one dominates, in their order."""
    front = analysis.pareto_front(_points(trials, aims), maximize=_maximize(aims))
    return [trials[index] for index in front.indices]


def _measure(trials: Sequence[ParetoTrial], aims: Aims) -> tuple[float, ...]:
    """Returns the hypervolume after each trial."""
    volumes: list[float] = []
    front: list[ParetoTrial] = []
    volume = 0.0
    for trial in trials:
        if trial.state == "complete":
            # Dominated points add nothing, and an unchanged front has the volume it had.
            before, front = front, _front_of([*front, trial], aims)
            if front != before:
                volume = analysis.hypervolume(
                    _points(front, aims), reference=list(aims.reference), maximize=_maximize(aims)
                )
        volumes.append(volume)
    return tuple(volumes)


def _points(trials: Sequence[ParetoTrial], aims: Aims) -> list[list[float]]:
    return [[trial.values[title] for title in aims.titles] for trial in trials]


def _maximize(aims: Aims) -> list[bool]:
    return [goal.mode == "max" for goal in aims.goals]


def _list_reasons(failed: Sequence[ParetoTrial]) -> str:
    reasons = [
        f"Trial {trial.number}: {str(trial.reason).rstrip('.')}." for trial in failed[:_MAX_REASONS]
    ]
    more = len(failed) - len(reasons)
    return " ".join(reasons) + (f" And {more} more; see result.trials." if more else "")
