"""Readers of the files that users download themselves, and the loader of all builders."""

import csv
import gzip
import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


def find_file(builder: Any, dl_manager: Any, names: Sequence[str], member: str = "") -> Path:
    """Finds the first of several files or folders that exists in the builder's manual folder.

    Args:
        builder: The builder; the error message uses its name and its instructions.
        dl_manager: The download manager of tfds, which knows the manual folder.
        names: Names of files or folders, in the order of preference.
        member: Relative path of a file that the right folder contains. It tells that folder from
            one of the same name that tfds itself may have made.

    Returns:
        The path of the file or folder.

    Raises:
        FileNotFoundError: If none of them exists; the message names them and the folder.
    """
    # The public `manual_dir` fails for a missing folder without naming files (docs/keras_notes.md,
    # pain 91).
    folder = Path(dl_manager._manual_dir or dl_manager.download_dir / "manual")
    for name in names:
        path = folder / name
        if path.is_file() or (path / member).exists():
            return path
    raise FileNotFoundError(
        f"{builder.name}: {folder} holds none of {list(names)}. "
        f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())} Put it there, or pass its "
        "folder as manual_dir."
    )


def read_text(path: Path) -> str:
    """Reads a text file, plain or gzipped."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="replace")


def read_members(path: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Reads text files from a folder or from a tar archive.

    Args:
        path: The folder, or the archive.
        wanted: Paths of the files, relative to the folder. In an archive, a file is found by the
            end of its path, whatever folders are above it.

    Returns:
        A dict from each wanted path to the text of its file.

    Raises:
        FileNotFoundError: If a file is missing; the message names it.
    """
    texts = {}
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in path.rglob("*")}
        for name in wanted:
            if name in files:
                texts[name] = read_text(files[name])
    else:
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                for name in wanted:
                    # The leading slash keeps "train/label" from matching "retrain/label".
                    if f"/{member.name}".endswith(f"/{name}") and member.isfile():
                        contents: Any = archive.extractfile(member)
                        texts[name] = contents.read().decode("utf-8", errors="replace")
    missing = [name for name in wanted if name not in texts]
    if missing:
        raise FileNotFoundError(f"{path} lacks {missing}.")
    return texts


def read_csv(text: str, table_columns: Iterable[str], path: Path) -> list[dict[str, str]]:
    """Reads the rows of a table whose first line holds the titles.

    Args:
        text: The contents of the file.
        table_columns: Titles that must be there.
        path: The path of the file; only the error message uses it.

    Returns:
        One dict per row, from title to entry.

    Raises:
        ValueError: If a table column is missing; the message names it.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    missing = sorted(set(table_columns) - set(rows[0] if rows else ()))
    if missing:
        raise ValueError(f"{path} has no column(s) {missing}, or no rows.")
    return rows


def number_or_nan(entry: str) -> float:
    """Converts an entry of a table to a number; an empty one or `NA` becomes NaN."""
    return float(entry) if entry not in ("", "NA") else float("nan")


def random_splits(rows: int, seed: int = 0) -> dict[str, list[int]]:
    """Draws the row indices of random splits: 80 % train, 10 % validation, 10 % test."""
    order = np.random.default_rng(seed).permutation(rows)
    splits = np.split(order, [rows * 8 // 10, rows * 9 // 10])
    return {
        name: sorted(indices.tolist())
        for name, indices in zip(("train", "validation", "test"), splits, strict=True)
    }


def load(
    builder: Any, split: str, manual_dir: str | os.PathLike[str] | None = None
) -> tf.data.Dataset:
    """Prepares a builder of `{"inputs": x, "labels": y}` at the first call; reads `(x, y)`."""
    # No search for a prepared copy in Google Cloud (docs/keras_notes.md, pain 91).
    options = tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=None if manual_dir is None else os.fspath(manual_dir)
    )
    builder.download_and_prepare(download_config=options)
    return builder.as_dataset(split=split).map(lambda row: (row["inputs"], row["labels"]))
