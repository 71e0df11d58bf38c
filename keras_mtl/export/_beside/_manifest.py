"""manifest.json: the size and the SHA-256 of every other file of a version."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
import pathlib
from collections.abc import Iterator, Mapping

from keras_mtl._version import __version__
from keras_mtl.export._beside._json_files import read_json, write_json
from keras_mtl.export._beside._refused import RefusedVersion

FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"


@dataclasses.dataclass(frozen=True)
class FileDigest:
    """Identifies the content of a file.

    Args:
        sha256: The SHA-256 of its bytes, as 64 lowercase hexadecimal digits.
        bytes: Its size.
    """

    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Holds what manifest.json says of a version.

    Args:
        created: When it was written, in UTC.
        versions: The versions of `keras_mtl`, `keras` and `tensorflow` that wrote it.
        files: The digest of each file by its path in the folder, with `/` between the parts.
    """

    created: str
    versions: Mapping[str, str]
    files: Mapping[str, FileDigest]


def write_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Writes manifest.json over all other files of a folder, as its last file.

    A signature of an older manifest is removed, since it does not hold any more.

    Args:
        folder: The folder of the version.

    Raises:
        RefusedVersion: If the folder holds a symbolic link or something else that is no file.
    """
    folder = pathlib.Path(folder)
    (folder / SIGNATURE_FILE).unlink(missing_ok=True)
    digests = {name: _digest(path) for name, path in _walk(folder)}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    packages = {name: importlib.metadata.version(name) for name in ("keras", "tensorflow")}
    manifest = Manifest(now, {"keras_mtl": __version__, **packages}, digests)
    # A reader sees the old manifest or the new one, and never half of one.
    unfinished = folder / f".{FILE}.writing"
    write_json(unfinished, dataclasses.asdict(manifest))
    os.replace(unfinished, folder / FILE)
    return manifest


def check_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Checks that a folder holds exactly the files of its manifest; imports no TensorFlow.

    Servers call it before they load a version. It protects against broken and incomplete copies,
    and against whoever can change files but not the manifest. Whoever can write the manifest can
    write what passes this check: against them, verify its signature (`export.verify_signature`).
    The folder must not be writable for others between the check and the loading.

    Args:
        folder: The folder of the version. It may be a symbolic link itself.

    Returns:
        What the manifest says.

    Raises:
        RefusedVersion: If there is no manifest, a file is missing, has changed, is not named in
            it, or is a symbolic link, or the manifest names a path outside of the folder.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> "saved_model.pb" in check_manifest(folder).files
        True
    """
    folder = pathlib.Path(folder)
    manifest = _read_manifest(folder / FILE)
    present = dict(_walk(folder))
    missing = sorted(manifest.files.keys() - present.keys())
    extra = sorted(present.keys() - manifest.files.keys())
    if missing:
        raise RefusedVersion(f"{folder}: its {FILE} names {missing}, which are not there.")
    if extra:
        raise RefusedVersion(
            f"{folder} holds {extra}, which its {FILE} does not name. Whoever adds files on "
            "purpose writes the manifest anew."
        )
    for name, expected in manifest.files.items():
        received = _digest(present[name], expected.bytes)
        if received != expected:
            raise RefusedVersion(
                f"{present[name]} is not the file that was exported: the {FILE} says "
                f"{expected.bytes} bytes with SHA-256 {expected.sha256}; received {received.bytes} "
                f"bytes" + (f" with {received.sha256}." if received.sha256 else ".")
            )
    return manifest


def _read_manifest(path: pathlib.Path) -> Manifest:
    """Returns the content of a manifest, with paths that stay in the folder.

    Raises:
        RefusedVersion: If it is missing or wrong.
    """
    if path.is_symlink():
        raise RefusedVersion(f"{path} is a symbolic link; a version holds files alone.")
    content = read_json(path)
    try:
        files = {
            name: FileDigest(str(entry["sha256"]), int(entry["bytes"]))
            for name, entry in content["files"].items()
        }
        manifest = Manifest(str(content["created"]), dict(content["versions"]), files)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefusedVersion(f"{path} is not complete: {type(error).__name__} {error}.") from error
    outside = [name for name in files if not _is_inside(name)]
    if outside or not files:
        raise RefusedVersion(
            f"{path} must name files of its own folder, as in 'variables/variables.index'; "
            f"received {outside or 'no files'}."
        )
    return manifest


def _is_inside(name: str) -> bool:
    """Returns whether a path of a manifest stays in the folder, and is in its plain form."""
    parts = name.split("/")
    plain = not any(part in ("", ".", "..") for part in parts)
    return plain and "\\" not in name and "\0" not in name and name not in (FILE, SIGNATURE_FILE)


def _walk(folder: pathlib.Path, prefix: str = "") -> Iterator[tuple[str, pathlib.Path]]:
    """Yields all files of a folder but the manifest and its signature, by path in the folder.

    Raises:
        RefusedVersion: If an entry is neither a file nor a folder, such as a symbolic link.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(pathlib.Path(entry.path), name + "/")
        elif not entry.is_file(follow_symlinks=False):
            what = "a symbolic link" if entry.is_symlink() else "no regular file"
            raise RefusedVersion(f"{entry.path} is {what}; a version holds files alone.")
        elif name not in (FILE, SIGNATURE_FILE):
            yield name, pathlib.Path(entry.path)


def _digest(path: pathlib.Path, expected_bytes: int | None = None) -> FileDigest:
    """Returns the digest of a file; without a SHA-256 if its size is not the expected one."""
    size = path.stat().st_size
    if expected_bytes is not None and size != expected_bytes:
        return FileDigest("", size)
    with path.open("rb") as file:
        return FileDigest(hashlib.file_digest(file, "sha256").hexdigest(), size)
