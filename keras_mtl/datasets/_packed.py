"""Tables that ship with the package: one small file each, read whole."""

import bz2
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FILES = Path(__file__).parent / "files"

Table = dict[str, npt.NDArray[Any]]


def pack(
    columns: Mapping[str, Sequence[str]], splits: Mapping[str, int], scales: Mapping[str, int]
) -> bytes:
    """Packs a table of strings into bytes that depend on nothing but the strings.

    A line of JSON (rows of each split, vocabulary or scale of each column) is followed by one
    row of codes after another: as many bytes a column as its largest code needs, the lowest
    first. Rows compress better than columns here, because columns tell each other. bzip2
    rather than xz, whose output differs between releases.

    Args:
        columns: The entries of each column, the splits one behind the other.
        splits: Number of rows in each split, in the order of the rows.
        scales: For each column of numbers, what makes its numbers whole (100 for hundredths).

    Returns:
        The contents of the file.

    Example:
        >>> contents = pack({"age": ["7", "30"], "sex": ["f", "m"]}, {"train": 2}, {"age": 1})
        >>> vocabularies(contents)
        {'sex': ['f', 'm']}
    """
    kinds: dict[str, Any] = {}
    digits = []
    for name, entries in columns.items():
        if name in scales:
            codes = np.array([round(float(entry) * scales[name]) for entry in entries], "<u4")
            kinds[name] = {"scale": scales[name]}
        else:
            vocabulary = sorted(set(entries))
            index = {entry: code for code, entry in enumerate(vocabulary)}
            codes = np.array([index[entry] for entry in entries], "<u4")
            kinds[name] = {"vocabulary": vocabulary}
        width = kinds[name]["bytes"] = max(1, (int(codes.max()).bit_length() + 7) // 8)
        digits.append(codes[:, None].view("u1")[:, :width])
    header = json.dumps({"splits": dict(splits), "columns": kinds}, separators=(",", ":"))
    return bz2.compress(header.encode() + b"\n" + np.concatenate(digits, axis=1).tobytes(), 9)


def vocabularies(contents: bytes) -> dict[str, list[str]]:
    """The vocabulary of each column of strings, without unpacking the rows."""
    with bz2.open(io.BytesIO(contents)) as file:
        header = json.loads(file.readline())
    kinds = header["columns"].items()
    return {name: kind["vocabulary"] for name, kind in kinds if "vocabulary" in kind}


def unpack(contents: bytes) -> dict[str, Table]:
    """Returns the splits of a packed table.

    Args:
        contents: What `pack` returned.

    Returns:
        For each split a dict from column to an array of shape `(rows,)`: float64 for numbers,
        strings (as objects) for the others.

    Example:
        >>> contents = pack({"pay": ["7.5", "3"]}, {"train": 1, "test": 1}, {"pay": 10})
        >>> unpack(contents)["test"]
        {'pay': array([3.])}
    """
    line, _, body = bz2.decompress(contents).partition(b"\n")
    header = json.loads(line)
    sizes = header["splits"]
    digits = np.frombuffer(body, "u1").reshape(sum(sizes.values()), -1)
    tables: dict[str, Table] = {split: {} for split in sizes}
    bounds = np.cumsum(list(sizes.values()))[:-1]
    first = 0
    for name, kind in header["columns"].items():
        codes = np.zeros(len(digits), np.int64)
        for position in range(kind["bytes"]):
            codes |= digits[:, first + position].astype(np.int64) << (8 * position)
        first += kind["bytes"]
        scale = kind.get("scale")
        entries = codes / scale if scale else np.array(kind["vocabulary"], object)[codes]
        for split, part in zip(sizes, np.split(entries, bounds), strict=True):
            tables[split][name] = part
    return tables
