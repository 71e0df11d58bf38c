"""Files of data sets that users put in place themselves, and builders that read them."""

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
    """The first of the named files or folders that is in the builder's manual folder.

    Args:
        builder: The builder, for its name and instructions.
        dl_manager: Of tfds; knows the folder.
        names: In the order of preference.
        member: What is in a folder that is meant: tfds itself may make one of the same name.

    Raises:
        FileNotFoundError: If none is; says what to put where.
    """
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
    """The contents of a text file, plain or gzipped."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="replace")


def read_members(path: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Text files of a folder or a tar archive, by the end of their path.

    Raises:
        FileNotFoundError: If one is missing; the message names it.
    """
    found = {}
    if path.is_dir():
        files = {each.relative_to(path).as_posix(): each for each in path.rglob("*")}
        for name in wanted:
            if name in files:
                found[name] = read_text(files[name])
    else:
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                for name in wanted:
                    if f"/{member.name}".endswith(f"/{name}") and member.isfile():
                        contents: Any = archive.extractfile(member)
                        found[name] = contents.read().decode("utf-8", errors="replace")
    missing = [name for name in wanted if name not in found]
    if missing:
        raise FileNotFoundError(f"{path} lacks {missing}.")
    return found


def read_csv(text: str, columns: Iterable[str], path: Path) -> list[dict[str, str]]:
    """The rows of a table with a line of titles.

    Raises:
        ValueError: If a column is missing; the message names it.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    missing = sorted(set(columns) - set(rows[0] if rows else ()))
    if missing:
        raise ValueError(f"{path} has no column(s) {missing}, or no rows.")
    return rows


def maybe(entry: str) -> float:
    """A number, or NaN where there is none."""
    return float(entry) if entry not in ("", "NA") else float("nan")


def random_splits(rows: int, seed: int = 0) -> dict[str, list[int]]:
    """The places of rows in random splits: 80 % train, 10 % validation, 10 % test."""
    order = np.random.default_rng(seed).permutation(rows)
    parts = np.split(order, [rows * 8 // 10, rows * 9 // 10])
    return {
        name: sorted(part.tolist())
        for name, part in zip(("train", "validation", "test"), parts, strict=True)
    }


def load(
    builder: Any, split: str, manual_dir: str | os.PathLike[str] | None = None
) -> tf.data.Dataset:
    """Prepares a builder of `{"inputs": ..., "labels": ...}` if need be, and reads `(x, y)`."""
    options = tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=None if manual_dir is None else os.fspath(manual_dir)
    )
    builder.download_and_prepare(download_config=options)
    return builder.as_dataset(split=split).map(lambda row: (row["inputs"], row["labels"]))
