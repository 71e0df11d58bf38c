"""Files that are complete or do not exist."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from keras_mtl.export._beside._manifest import FILE as MANIFEST
from keras_mtl.export._beside._manifest import add_file


@contextlib.contextmanager
def new_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a file to write to, and renames it to `path` once everything is written.

    The manifest of the version, if it has one, holds before, meanwhile and afterwards: a server
    never refuses the version, and a kill at any moment leaves it whole.

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
        if (folder / MANIFEST).is_file():
            add_file(folder, path.name, unfinished)
        else:
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
