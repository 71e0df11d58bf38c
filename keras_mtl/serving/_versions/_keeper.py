"""Finds new versions and exchanges the one that is served."""

import logging
import pathlib
import re
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from keras_mtl.export._beside._manifest import FILE as MANIFEST
from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.serving._versions._version import Version, load_version

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")

Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"""Names, sizes and times of the files of a version; a change means that it was written anew."""

log = logging.getLogger("keras_mtl.serving")


class Keeper:
    """Keeps the newest whole version of a folder, and replaces it when a newer one appears.

    A version is loaded and tried in the thread of the keeper while the old one answers. Then one
    reference is exchanged: requests that hold the old version finish with it. A version that is
    refused is remembered with the reason, and tried again only when its files change. If the
    newest version is removed from the folder, the next older one takes its place; if all are
    removed, the last one goes on.

    Args:
        folder: The folder of the model, whose sub-folders are versions.
        poll_seconds: How often the folder is looked at.
        load: Loads the version of a folder.
        report: Called with `"loaded"` or `"refused"` when a version was.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        poll_seconds: float = 1.0,
        load: Callable[[pathlib.Path], Version] = load_version,
        report: Callable[[str], None] = lambda event: None,
    ) -> None:
        self.current: Version | None = None
        self.refused: dict[int, str] = {}
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._load = load
        self._report = report
        self._readable = True
        self._stamp: Stamp | None = None
        self._refused_stamps: dict[int, Stamp] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Starts to look at the folder, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stops looking; returns when the thread has ended."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Looks at the folder once, and loads the newest version if it is not served yet."""
        folders = self._list_versions()
        for number in {*self.refused} - {*folders}:
            self._forget(number)
        for number, folder in sorted(folders.items(), reverse=True):
            # A served version whose files change later is still whole in memory.
            if self._serves(number, folder) or self._has(number):
                return

    def _has(self, number: int) -> bool:
        return self.current is not None and self.current.number == number

    def _serves(self, number: int, folder: pathlib.Path) -> bool:
        """Returns whether a version is served now, after an attempt to load it."""
        started = time.perf_counter()
        try:
            stamp = _stamp(folder)
            if self._has(number) and self._stamp == stamp:
                return True
            if self._refused_stamps.get(number) == stamp:
                return False
            if not (folder / MANIFEST).exists():
                self._refuse(number, f"it has no {MANIFEST}: it is not written to its end.", True)
                return False
            version = self._load(folder)
        except RefusedVersion as error:
            # Clients can read the reason, and need not know where the folder lies.
            self._refuse(number, str(error).replace(str(folder), f"version {number}"))
            self._refused_stamps[number] = stamp
            return False
        except OSError as error:
            # The file system may answer again at the next look.
            self._refuse(number, f"a file cannot be read ({error.strerror}).")
            return False
        self._stamp = stamp
        self.current = version
        self._forget(number)
        self._report("loaded")
        seconds = time.perf_counter() - started
        log.info("version %d is served (loaded by %s in %.2f s)", number, version.kind, seconds)
        return True

    def _refuse(self, number: int, reason: str, waits: bool = False) -> None:
        if self.refused.get(number) == reason:
            return
        self.refused[number] = reason
        if waits:
            log.info("version %d waits: %s", number, reason)
        else:
            self._report("refused")
            log.error("version %d is refused: %s", number, reason)

    def _forget(self, number: int) -> None:
        self.refused.pop(number, None)
        self._refused_stamps.pop(number, None)

    def _list_versions(self) -> dict[int, pathlib.Path]:
        try:
            paths = list(self._folder.iterdir())
        except OSError as error:
            if self._readable:
                log.error("the folder of the model cannot be read (%s)", error.strerror)
            self._readable = False
            return {}
        self._readable = True
        return {int(path.name): path for path in paths if _NUMBER.fullmatch(path.name)}

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self.look()
            except Exception as error:  # The old version goes on, whatever happens.
                log.error("looking for versions failed (%s)", type(error).__name__)
            self._stopped.wait(self._poll_seconds)


def _stamp(folder: pathlib.Path) -> Stamp:
    facts = []
    for path in folder.rglob("*"):
        status = path.lstat()
        facts.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(sorted(facts))
