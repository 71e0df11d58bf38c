"""Files that are complete or do not exist."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from keras_mtl.export._beside._manifest import FILE as MANIFEST
from keras_mtl.export._beside._manifest import write_manifest


@contextlib.contextmanager
def new_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a file to write to, and renames it to `path` once everything is written.

    Then the manifest of the version is written anew, if it has one. A server refuses the version
    between these two steps, and after a kill between them, until the conversion runs again.

    The file to write to lies beside the version folder and not inside it, so that a server that
    loads the version meanwhile never sees a file that the manifest does not name. The remains of
    a killed conversion to the same file are removed first.

    Args:
        path: The final file, in a version folder.

    Yields:
        The file to write to, with the same suffix as `path`.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "1"
        >>> folder.mkdir()
        >>> with new_file(folder / "model.onnx") as file:
        ...     _ = file.write_bytes(b"graph")
        ...     [entry.name for entry in folder.iterdir()]
        []
        >>> (folder / "model.onnx").read_bytes()
        b'graph'
    """
    folder = path.parent
    start = f".{folder.name}.{path.stem}.writing-"
    for stale in folder.parent.glob(f"{start}*{path.suffix}"):
        stale.unlink(missing_ok=True)
    unfinished = folder.with_name(f"{start}{os.getpid()}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
        if (folder / MANIFEST).is_file():
            write_manifest(folder)
    finally:
        unfinished.unlink(missing_ok=True)
