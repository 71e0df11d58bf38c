"""The tuners of Keras Tuner, and the folder from which a stopped search resumes."""

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
    """Checks the kind of tuner, the number of trials and the bounds of the ratios.

    Raises:
        ValueError: If the tuner is unknown, the bounds are not `0 < low < high`, or the number of
            trials is not positive, or is missing for a tuner that never ends by itself.

    Example:
        >>> check_choices("random", 3, (0.1, 10.0))
    """
    if kind not in _TUNERS:
        raise ValueError(f"tuner must be one of {sorted(_TUNERS)}; received {kind!r}.")
    low, high = bounds
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"bounds are the smallest and the largest ratio, 0 < low < high; received {bounds}."
        )
    if max_trials is None and kind in ("bayesian", "random"):
        raise ValueError(f"tuner={kind!r} never ends by itself: pass max_trials.")
    if max_trials is not None and max_trials < 1:
        raise ValueError(f"max_trials must be at least 1; received {max_trials}.")


def make_tuner(
    kind: str, model: WeightedTasks, folder: pathlib.Path, max_trials: int | None, epochs: int
) -> Any:
    """Makes a tuner of Keras Tuner for a hypermodel; it resumes the trials that `folder` holds.

    Args:
        kind: `"bayesian"`, `"grid"`, `"hyperband"` or `"random"`.
        model: The hypermodel.
        folder: The folder of the search.
        max_trials: The largest number of trials; `None` for no limit.
        epochs: The largest number of epochs per trial; only Hyperband uses it here.

    Returns:
        A `keras_tuner.Tuner`.
    """
    arguments: dict[str, Any] = {"max_trials": max_trials}
    if kind == "hyperband":
        arguments = {"max_epochs": epochs}
    if kind == "bayesian":
        # By default Keras Tuner draws three random trials per parameter (docs/keras_notes.md,
        # pain 80). With few trials in all, none would be left that learns from them: at most half
        # of the trials are random.
        default = 3 * (len(model.tasks) - 1)
        arguments["num_initial_points"] = max(3, min(default, (max_trials or 0) // 2))
    tuner = _TUNERS[kind](
        model,
        objective=keras_tuner.Objective(model.goal.name, model.goal.mode),
        seed=model.seed + 1,  # 0 would mean no seed (docs/keras_notes.md, pain 80)
        executions_per_trial=model.executions,
        directory=str(folder),
        project_name="trials",
        **arguments,
    )
    # Hyperband takes no `max_trials` as an argument (docs/keras_notes.md, pain 80).
    tuner.oracle.max_trials = max_trials
    return tuner


def open_folder(
    directory: str | os.PathLike[str] | None,
    model: WeightedTasks,
    kind: str,
    fit_arguments: dict[str, Any],
    overwrite: bool,
) -> pathlib.Path:
    """Opens the folder of a search: a new one, or one in which the same search was stopped.

    Args:
        directory: The folder; `None` for one that is removed when the process ends.
        model: The hypermodel, whose settings are written to `search.json` in the folder.
        kind: The kind of tuner.
        fit_arguments: The arguments of `keras.Model.fit`.
        overwrite: Whether to remove the trials that the folder holds.

    Returns:
        The path of the folder.

    Raises:
        ValueError: If the folder holds another search, whose scores cannot be compared with
            those of this one.
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
    settings = json.loads(json.dumps(settings))  # Tuples become lists, as in the file.
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
