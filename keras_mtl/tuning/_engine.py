"""The tuners of Keras Tuner, and the folder in which a search goes on after a stop."""

import atexit
import dataclasses
import json
import math
import os
import pathlib
import shutil
import tempfile
from typing import Any

import keras_tuner

from keras_mtl.tuning._weighted_tasks import WeightedTasks

_TUNERS = {
    "bayesian": keras_tuner.BayesianOptimization,
    "grid": keras_tuner.GridSearch,
    "hyperband": keras_tuner.Hyperband,
    "random": keras_tuner.RandomSearch,
}


def check_choices(kind: str, max_trials: int | None, bounds: tuple[float, float]) -> None:
    """Refuses unknown tuners and bounds between which there is nothing.

    Raises:
        ValueError: If a value is outside of what is allowed.

    Example:
        >>> check_choices("random", 3, (0.1, 10.0))
    """
    if kind not in _TUNERS:
        raise ValueError(f"tuner must be one of {sorted(_TUNERS)}; received {kind!r}.")
    low, high = bounds
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"bounds are the smallest and largest ratio, 0 < low < high; received {bounds}."
        )
    if max_trials is None and kind in ("bayesian", "random"):
        raise ValueError(f"tuner={kind!r} never ends by itself: give max_trials.")
    if max_trials is not None and max_trials < 1:
        raise ValueError(f"max_trials must be at least 1; received {max_trials}.")


def make_tuner(
    kind: str, model: WeightedTasks, folder: pathlib.Path, max_trials: int | None, epochs: int
) -> Any:
    """A tuner of Keras Tuner for a hypermodel, with what `folder` holds already."""
    arguments: dict[str, Any] = {"max_trials": max_trials}
    if kind == "hyperband":
        arguments = {"max_epochs": epochs}
    if kind == "bayesian":
        # The tuner's own number of random trials, three a parameter, would leave none to learn.
        searched = 3 * (len(model.tasks) - 1)
        arguments["num_initial_points"] = max(3, min(searched, (max_trials or 0) // 2))
    tuner = _TUNERS[kind](
        model,
        objective=keras_tuner.Objective(model.goal.name, model.goal.mode),
        seed=model.seed + 1,  # Keras Tuner takes a seed of 0 for none.
        executions_per_trial=model.executions,
        directory=str(folder),
        project_name="trials",
        **arguments,
    )
    tuner.oracle.max_trials = max_trials
    return tuner


def open_folder(
    directory: str | os.PathLike[str] | None,
    model: WeightedTasks,
    kind: str,
    fit_arguments: dict[str, Any],
    overwrite: bool,
) -> pathlib.Path:
    """The folder of a search: new, or one in which the same search was stopped.

    Raises:
        ValueError: If the folder holds a search whose scores would not compare with this one's.
    """
    if directory is None:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="task_weights_"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    folder = pathlib.Path(directory)
    record = folder / "search.json"
    settings = {
        "tuner": kind,
        "space": dataclasses.asdict(model.space),
        "objective": dataclasses.asdict(model.goal),
        "executions_per_trial": model.executions,
        **{key: fit_arguments.get(key) for key in ("epochs", "steps_per_epoch")},
    }
    settings = json.loads(json.dumps(settings))
    if overwrite:
        shutil.rmtree(folder / "trials", ignore_errors=True)
    elif record.exists():
        _check_same(folder, json.loads(record.read_text()), settings)
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(settings, indent=1))
    return folder


def _check_same(folder: pathlib.Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for key, value in now.items():
        if before.get(key) != value:
            raise ValueError(
                f"{str(folder)!r} holds another search, whose {key} was {before.get(key)} and now "
                f"is {value}. Choose another directory, or overwrite=True to forget it."
            )
