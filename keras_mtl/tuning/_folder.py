"""The folder of a search, from which it resumes after it was stopped."""

import atexit
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import shutil
import tempfile
import warnings
from typing import Any

from keras_mtl._tasks import Task
from keras_mtl.tuning._weighted_tasks import WeightedTasks

_VERSIONS = "versions"


def describe_search(
    model: WeightedTasks, kind: str, fit_arguments: dict[str, Any], train: Any, validation: Any
) -> dict[str, Any]:
    """Describes what the scores of a search depend on, as far as it can be written down.

    Args:
        model: The hypermodel.
        kind: The kind of tuner.
        fit_arguments: The arguments of `keras.Model.fit`.
        train, validation: The datasets, of which the number of batches is kept.
    """
    return {
        "tuner": kind,
        "space": vars(model.space),
        "objective": [dataclasses.asdict(goal) for goal in model.goals],
        "executions_per_trial": model.executions,
        **{key: fit_arguments.get(key) for key in ("epochs", "steps_per_epoch")},
        "validation_steps": fit_arguments.get("validation_steps"),
        "seed": model.seed,
        "losses": {task.name: _name_loss(task) for task in model.tasks},
        "batches": {
            "train": int(train.cardinality()),
            "validation": int(validation.cardinality()),
        },
        _VERSIONS: {name: importlib.metadata.version(name) for name in ("keras", "tensorflow")},
    }


def _name_loss(task: Task) -> str:
    return task.loss if isinstance(task.loss, str) else type(task.loss).__name__


def open_folder(
    directory: str | os.PathLike[str] | None, settings: dict[str, Any], overwrite: bool
) -> pathlib.Path:
    """Opens the folder of a search: a new one, or one in which the same search was stopped.

    Args:
        directory: The folder; `None` for one that is removed when the process ends.
        settings: From `describe_search`; they are written to `search.json` in the folder.
        overwrite: Whether to remove the trials that the folder holds.

    Returns:
        The path of the folder.

    Raises:
        ValueError: If the folder holds another search, whose scores cannot be compared with
            those of this one, or trials of another program.
    """
    if directory is None:
        return temporary_folder("task_weights_")
    folder = pathlib.Path(directory)
    record = folder / "search.json"
    settings = json.loads(json.dumps(settings))  # Tuples become lists, as in the file.
    if overwrite:
        shutil.rmtree(folder / "trials", ignore_errors=True)
    elif record.exists():
        _check_same(folder, read_settings(record, "search"), settings)
    elif (folder / "trials").exists():
        raise ValueError(
            f"{str(folder)!r} holds trials of another program, without the search.json of a "
            "search for task weights. Choose another directory, or overwrite=True to remove them."
        )
    folder.mkdir(parents=True, exist_ok=True)
    new = record.with_name(f"{record.name}.{os.getpid()}.new")
    new.write_text(json.dumps(settings, indent=1))
    os.replace(new, record)  # in one move: a process that is killed leaves a whole record
    return folder


def temporary_folder(prefix: str) -> pathlib.Path:
    """Makes a folder that is removed when the process ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def read_settings(record: pathlib.Path, noun: str) -> dict[str, Any]:
    """Reads the settings of an earlier search or study from its folder.

    Args:
        record: The file.
        noun: `"search"` or `"study"`, for the message.

    Raises:
        ValueError: If the file cannot be read.
    """
    try:
        settings = json.loads(record.read_text())
    except ValueError as error:
        raise ValueError(
            f"{str(record)!r} cannot be read ({error}). Choose another directory, or "
            f"overwrite=True to forget the {noun} in it."
        ) from error
    return settings if isinstance(settings, dict) else {}


def _check_same(folder: pathlib.Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    if (versions := before.get(_VERSIONS)) != now[_VERSIONS]:
        warnings.warn(
            f"The trials in {str(folder)!r} were trained with {versions}, and the next ones will "
            f"be with {now[_VERSIONS]}: their scores may differ for this reason.",
            stacklevel=5,
        )
    for key, value in now.items():
        if key != _VERSIONS and before.get(key) != value:
            raise ValueError(
                f"{str(folder)!r} holds another search, whose {key} was {before.get(key)} and now "
                f"is {value}. Choose another directory, or overwrite=True to forget it."
            )
