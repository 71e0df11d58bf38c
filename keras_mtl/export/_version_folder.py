"""Folders of model versions, each of which is complete or does not exist."""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

_VERSION = re.compile(r"0|[1-9][0-9]*")


def check_version_folder(path: str | os.PathLike[str]) -> pathlib.Path:
    """Checks that the last part of a path is a version number that is still free.

    Args:
        path: A path such as `"saved_models/census/1"`.

    Returns:
        The path.

    Raises:
        ValueError: If the last part is not a whole number without leading zeros.
        FileExistsError: If the version exists; the message names the next free one.

    Example:
        >>> check_version_folder("saved_models/never_written/3").name
        '3'
    """
    folder = pathlib.Path(path)
    if not _VERSION.fullmatch(folder.name):
        raise ValueError(
            f"The last part of the path must be a version, a whole number such as 1; received "
            f"{str(path)!r}. Servers look for <model>/<version>: "
            f"try {str(folder / '1')!r}."
        )
    if folder.exists():
        raise FileExistsError(
            f"{str(folder)!r} exists already, and a version is never overwritten: a server may "
            f"have loaded it. The next free version is {str(_next_free(folder.parent))!r}."
        )
    return folder


@contextlib.contextmanager
def new_version(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder to write to, and renames it to `folder` once everything is written.

    The folder to write to is beside `folder`, so that one rename moves it. Its name is one that
    no server reads as a version. The remains of a killed export of the same version are removed
    first.

    Args:
        folder: The final folder of the version, which does not exist yet.

    Yields:
        The folder to write to.

    Raises:
        OSError: If another process wrote the version in the meantime.

    Example:
        >>> import pathlib, tempfile
        >>> version = pathlib.Path(tempfile.mkdtemp()) / "1"
        >>> with new_version(version) as folder:
        ...     _ = (folder / "model.txt").write_text("weights")
        ...     version.exists()
        False
        >>> (version / "model.txt").read_text()
        'weights'
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.writing-*"):
        shutil.rmtree(stale, ignore_errors=True)
    unfinished = folder.with_name(f".{folder.name}.writing-{os.getpid()}")
    unfinished.mkdir()
    try:
        yield unfinished
        # One step of the file system: a server sees the whole version or none of it.
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _next_free(base: pathlib.Path) -> pathlib.Path:
    taken = [int(path.name) for path in base.iterdir() if _VERSION.fullmatch(path.name)]
    return base / str(max(taken) + 1)
