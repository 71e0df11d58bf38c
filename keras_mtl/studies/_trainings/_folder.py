"""The folder of a study: what it belongs to, and who uses it."""

import contextlib
import importlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_mtl.studies._trainings._record import write_json
from keras_mtl.tuning._folder import read_settings, temporary_folder

fcntl: Any
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # not a POSIX system: nothing guards against two processes
    fcntl = None


def open_folder(
    directory: str | os.PathLike[str] | None, settings: Mapping[str, Any], overwrite: bool
) -> Path:
    """Opens the folder of a study: a new one, or one in which the same study was stopped.

    Args:
        directory: The folder; `None` for one that is removed when the process ends.
        settings: What the results depend on; kept in `study.json`.
        overwrite: Whether to remove the trainings that the folder holds.

    Raises:
        ValueError: If the folder holds another study, or files of another program.
    """
    folder = temporary_folder("study_") if directory is None else Path(directory)
    record = folder / "study.json"
    content = json.loads(json.dumps(settings))  # tuples become lists, as in the file
    if overwrite:
        shutil.rmtree(folder / "trainings", ignore_errors=True)
    elif record.exists():
        _check_same(folder, read_settings(record, "study"), content)
    elif folder.exists() and any(folder.iterdir()) and directory is not None:
        names = sorted(path.name for path in folder.iterdir())[:5]
        raise ValueError(
            f"{str(folder)!r} holds {names} and no study.json: it is no folder of a study. Choose "
            "another directory, or an empty one."
        )
    write_json(record, content)
    return folder


_MAY_GROW = {"networks"}
"""What a later call may add to. Not seeds: the baseline's mean over them chooses settings."""


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in {**now, **before}:
        then, new = before.get(key), now.get(key)
        if key not in _MAY_GROW and then != new:
            raise ValueError(
                f"{str(folder)!r} holds another study, whose {key} was {_brief(then)} and now is "
                f"{_brief(new)}. Choose another directory, or overwrite=True to forget that study."
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


@contextlib.contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """Keeps other processes from the same study while it runs.

    Raises:
        RuntimeError: If another process runs it.
    """
    if fcntl is None:
        yield
        return
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(
                f"another process runs the study in {str(folder)!r}. Wait for it, or choose "
                "another directory."
            ) from error
        yield
