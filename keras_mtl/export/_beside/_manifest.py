"""manifest.json: the size and the SHA-256 of every other file of a version."""

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
import pathlib
from collections.abc import Container, Iterator, Mapping

from keras_mtl._version import __version__
from keras_mtl.export._beside._json_files import parse_json, read_file, write_json
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
        coming: Likewise, files that are just being added or replaced. The folder may hold each of
            them as well as what `files` says of its path.
    """

    created: str
    versions: Mapping[str, str]
    files: Mapping[str, FileDigest]
    coming: Mapping[str, FileDigest] = dataclasses.field(default_factory=dict)

    def of(self, name: str) -> list[FileDigest]:
        """Returns what may be in the folder at a path: one file, two, or none."""
        return [files[name] for files in (self.files, self.coming) if name in files]


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
    return _write(folder, digests, {})


def add_file(folder: pathlib.Path, name: str, source: pathlib.Path) -> None:
    """Moves a file into a version, which passes `check_manifest` before, meanwhile and afterwards.

    The manifest names what will come, then the file is moved by one rename, and then the manifest
    names it for good. A kill in between leaves a version that passes, too. A signature is removed,
    since it does not hold any more.

    Args:
        folder: The folder of the version, which passes `check_manifest`.
        name: The name of the new file in the folder; a file of this name is replaced.
        source: The new file, outside of the folder and on its file system.

    Raises:
        RefusedVersion: If the version is not whole.
    """
    digest = _digest(source)
    with _alone(folder):
        manifest = check_manifest(folder)
        (folder / SIGNATURE_FILE).unlink(missing_ok=True)
        _write(folder, manifest.files, {name: digest})
        os.replace(source, folder / name)
        _write(folder, {**manifest.files, name: digest}, {})


def _write(
    folder: pathlib.Path, files: Mapping[str, FileDigest], coming: Mapping[str, FileDigest]
) -> Manifest:
    """Writes manifest.json by one rename: a reader sees the old one or the new one."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    packages = {name: importlib.metadata.version(name) for name in ("keras", "tensorflow")}
    manifest = Manifest(now, {"keras_mtl": __version__, **packages}, files, coming)
    # Not in the folder, where it would be a file that the manifest does not name.
    start = f".{folder.name}.{FILE}.writing-"
    for stale in folder.parent.glob(f"{start}*"):
        stale.unlink(missing_ok=True)
    unfinished = folder.with_name(f"{start}{os.getpid()}")
    content = dataclasses.asdict(manifest)
    if not coming:
        del content["coming"]
    write_json(unfinished, content)
    os.replace(unfinished, folder / FILE)
    return manifest


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other processes of this machine from adding a file at the same time."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Checks that a folder holds exactly the files of its manifest; imports no TensorFlow.

    Servers call it before they load a version. It protects against broken and incomplete copies,
    and against whoever can change files but not the manifest. Whoever can write the manifest can
    write what passes this check: against them, verify its signature (`export.verify_signature`).
    The folder must not be writable for others between the check and the loading.

    Args:
        folder: The folder of the version. It may be a symbolic link itself.

    A format that is just being added (`export.onnx`) leaves the version whole at any moment.

    Returns:
        What the manifest says, with those files of `coming` that are there among its `files`.

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
    while True:
        try:
            return check_files(folder, manifest)
        except RefusedVersion:
            later = _read_manifest(folder / FILE)
            # Whoever adds a file writes the manifest first: with the new one, all may be well.
            if later == manifest:
                raise
            manifest = later


def check_files(folder: pathlib.Path, manifest: Manifest) -> Manifest:
    """Checks that a folder holds exactly the files of a manifest.

    Raises:
        RefusedVersion: As `check_manifest` does.
    """
    present = dict(_walk(folder))
    missing = sorted(manifest.files.keys() - present.keys())
    extra = sorted(present.keys() - manifest.files.keys() - manifest.coming.keys())
    if missing:
        raise RefusedVersion(f"{folder}: its {FILE} names {missing}, which are not there.")
    if extra:
        raise RefusedVersion(
            f"{folder} holds {extra}, which its {FILE} does not name. Whoever adds files on "
            "purpose writes the manifest anew."
        )
    files = {}
    for name, path in present.items():
        sizes = {digest.bytes for digest in manifest.of(name)}
        files[name] = _digest(path, sizes)
        if files[name] not in manifest.of(name):
            raise _refuse_file(path, manifest.of(name)[0], files[name])
    return dataclasses.replace(manifest, files=files)


def _refuse_file(path: pathlib.Path, expected: FileDigest, received: FileDigest) -> RefusedVersion:
    return RefusedVersion(
        f"{path} is not the file that was exported: the {FILE} says {expected.bytes} bytes with "
        f"SHA-256 {expected.sha256}; received {received.bytes} bytes"
        + (f" with {received.sha256}." if received.sha256 else ".")
    )


def _read_manifest(path: pathlib.Path) -> Manifest:
    """Returns the content of a manifest, with paths that stay in the folder.

    Raises:
        RefusedVersion: If it is missing or wrong.
    """
    if path.is_symlink():
        raise RefusedVersion(f"{path} is a symbolic link; a version holds files alone.")
    return parse_manifest(path, read_file(path))


def parse_manifest(path: pathlib.Path, text: bytes) -> Manifest:
    """Returns the content of a manifest whose bytes have been read already.

    Raises:
        RefusedVersion: If it is wrong.
    """
    content = parse_json(path, text)
    try:
        files, coming = (
            {
                name: FileDigest(str(entry["sha256"]), int(entry["bytes"]))
                for name, entry in entries.items()
            }
            for entries in (content["files"], content.get("coming", {}))
        )
        manifest = Manifest(str(content["created"]), dict(content["versions"]), files, coming)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefusedVersion(f"{path} is not complete: {type(error).__name__} {error}.") from error
    outside = [name for name in (*files, *coming) if not _is_inside(name)]
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


def _digest(path: pathlib.Path, expected_bytes: Container[int] | None = None) -> FileDigest:
    """Returns the digest of a file; without a SHA-256 if its size is no expected one."""
    with path.open("rb") as file:
        # Of the open file: another one may take its place in the meantime.
        size = os.fstat(file.fileno()).st_size
        if expected_bytes is not None and size not in expected_bytes:
            return FileDigest("", size)
        return FileDigest(hashlib.file_digest(file, "sha256").hexdigest(), size)
