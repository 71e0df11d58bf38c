"""Reads the trials of a study."""

from collections.abc import Sequence
from typing import Any

from keras_mtl._tasks import Task
from keras_mtl.tuning._fronts._aims import Aims
from keras_mtl.tuning._optuna._record_epochs import read_curve, read_curves
from keras_mtl.tuning._optuna._study import REASON, is_killed
from keras_mtl.tuning._pareto_result import ParetoTrial, State

_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}


def read_study(study: Any, tasks: Sequence[Task], aims: Aims) -> list[ParetoTrial]:
    """Returns all trials that have ended, in the order in which they started."""
    ended = [trial for trial in study.get_trials() if trial.state.is_finished()]
    return [_read_trial(trial, tasks, aims) for trial in ended]


def _read_trial(trial: Any, tasks: Sequence[Task], aims: Aims) -> ParetoTrial:
    attributes = trial.user_attrs
    weights = attributes.get("weights", {})
    curve = read_curve(attributes)
    epoch = aims.choose_epoch(curve) if curve else None
    state: State = "killed" if is_killed(trial) else _STATES[trial.state.name]
    values = trial.values if state == "complete" else ()
    recorded = sum(map(len, read_curves(attributes)))
    return ParetoTrial(
        trial.number,
        state,
        {task.name: weights[task.name] for task in tasks if task.name in weights},
        dict(zip(aims.titles, values, strict=False)),
        {} if epoch is None else aims.task_gains(curve[epoch]),
        {} if epoch is None else curve[epoch],
        epoch,
        curve,
        attributes.get("hyperparameters", {}),
        attributes.get(REASON),
        max(attributes.get("epochs", 0), recorded),
        trial.duration.total_seconds() if trial.duration else 0.0,
    )
