"""The files of a version, compared with its manifest."""

import hashlib
import json
import pathlib
import stat
from collections.abc import Mapping
from typing import Any

_NOT_LISTED = {"manifest.json", "manifest.sig"}
_MOST_FILES = 10_000


class VersionRefused(Exception):
    """Says why a version is not loaded.

    Args:
        reason: A sentence.
        waits: Whether the version is being written: this is no failure.
    """

    def __init__(self, reason: str, *, waits: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.waits = waits


class VerifiedFolder:
    """Holds a version folder all of whose files have the digests of its manifest.

    Args:
        folder: The folder of the version.

    Raises:
        VersionRefused: If the manifest is missing or damaged, a file is missing, has changed or is
            not listed, or something in the folder is no plain file.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._files = _read_manifest(folder)
        present = list_files(folder)
        _check_names({*self._files}, {*present} - _NOT_LISTED)
        for name in self._files:
            self._check(name, _digest(present[name]), present[name].stat().st_size)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        """Returns the bytes of a file, which are compared with the manifest once more.

        So what is loaded is what was verified, even if the file changes in between.
        """
        if name not in self._files:
            raise VersionRefused(f"{name} is missing.")
        content = (self.folder / name).read_bytes()
        self._check(name, hashlib.sha256(content).hexdigest(), len(content))
        return content

    def read_json(self, name: str) -> Any:
        """Returns the content of a JSON file."""
        try:
            return json.loads(self.read(name))
        except ValueError as error:
            raise VersionRefused(f"{name} is not JSON ({error}).") from error

    def _check(self, name: str, digest: str, size: int) -> None:
        if self._files[name] != (digest, size):
            raise VersionRefused(f"{name} is not the file of the manifest: its bytes differ.")


def list_files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the files of a folder and its sub-folders by their relative paths.

    Raises:
        VersionRefused: If there is a link or anything else that is no plain file, or far too many.
    """
    files: dict[str, pathlib.Path] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            raise VersionRefused(f"{name} disappeared.", waits=True) from None
        if stat.S_ISREG(mode):
            files[name] = path
        elif not stat.S_ISDIR(mode):
            raise VersionRefused(f"{name} is no plain file.")
        if len(files) > _MOST_FILES:
            raise VersionRefused(f"the folder has more than {_MOST_FILES} files.")
    return files


def _read_manifest(folder: pathlib.Path) -> dict[str, tuple[str, int]]:
    """Returns by relative path the digest and the size that the manifest states."""
    try:
        content = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise VersionRefused(
            "manifest.json is missing: the version is not written to its end, or was made by an "
            "export that writes none.",
            waits=True,
        ) from None
    except ValueError as error:
        raise VersionRefused(f"manifest.json is not JSON ({error}).") from error
    try:
        if content["format"] != 1:
            raise VersionRefused(f"manifest.json has format {content['format']!r}; expected 1.")
        files: Mapping[str, Mapping[str, Any]] = content["files"]
        stated = {name: (facts["sha256"], facts["bytes"]) for name, facts in files.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise VersionRefused("manifest.json does not have the expected form.") from error
    for name in stated:
        path = pathlib.PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
            raise VersionRefused(f"manifest.json lists {name!r}, which is no path in the folder.")
    return stated


def _check_names(listed: set[str], present: set[str]) -> None:
    if missing := listed - present:
        raise VersionRefused(f"{min(missing)} is missing, although the manifest lists it.")
    if extra := present - listed:
        raise VersionRefused(f"{min(extra)} is not listed by the manifest.")


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
