"""Tables that ship with the package, each as one small file that is read whole."""

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
    table_columns: Mapping[str, Sequence[str]],
    splits: Mapping[str, int],
    scales: Mapping[str, int],
) -> bytes:
    """Packs a table of strings into bytes that depend on nothing but the strings.

    The file begins with a line of JSON: the number of rows of each split, and the vocabulary or
    scale of each table column. Then come the codes, row by row. A table column takes as many
    bytes per row as its largest code needs, the lowest byte first. Rows compress better than
    table columns here, because the entries of a row depend on each other. The compression is
    bzip2 rather than xz, whose output differs between releases.

    Args:
        table_columns: The entries of each table column; those of one split follow those of the
            split before.
        splits: Number of rows of each split, in the order of the rows.
        scales: For each table column of numbers, the factor that makes its numbers whole (100
            for hundredths).

    Returns:
        The contents of the file.

    Example:
        >>> contents = pack({"age": ["7", "30"], "sex": ["f", "m"]}, {"train": 2}, {"age": 1})
        >>> vocabularies(contents)
        {'sex': ['f', 'm']}
    """
    kinds: dict[str, Any] = {}
    digits = []
    for name, entries in table_columns.items():
        if name in scales:
            codes = np.array([round(float(entry) * scales[name]) for entry in entries], "<u4")
            kinds[name] = {"scale": scales[name]}
        else:
            vocabulary = sorted(set(entries))
            index = {entry: code for code, entry in enumerate(vocabulary)}
            codes = np.array([index[entry] for entry in entries], "<u4")
            kinds[name] = {"vocabulary": vocabulary}
        width = kinds[name]["bytes"] = max(1, (int(codes.max()).bit_length() + 7) // 8)
        # Codes of 4 bytes, seen as bytes (rows, 4); the highest are 0 and are left out.
        digits.append(codes[:, None].view("u1")[:, :width])
    header = json.dumps({"splits": dict(splits), "columns": kinds}, separators=(",", ":"))
    return bz2.compress(header.encode() + b"\n" + np.concatenate(digits, axis=1).tobytes(), 9)


def vocabularies(contents: bytes) -> dict[str, list[str]]:
    """Reads the vocabulary of each table column of strings, without unpacking the rows."""
    with bz2.open(io.BytesIO(contents)) as file:
        header = json.loads(file.readline())
    kinds = header["columns"].items()
    return {name: kind["vocabulary"] for name, kind in kinds if "vocabulary" in kind}


def unpack(contents: bytes) -> dict[str, Table]:
    """Unpacks the splits of a packed table.

    Args:
        contents: The bytes that `pack` returned.

    Returns:
        For each split, a dict from table column to an array of shape `(rows,)`: float64 for
        numbers, strings (as objects) for the other table columns.

    Example:
        >>> contents = pack({"pay": ["7.5", "3"]}, {"train": 1, "test": 1}, {"pay": 10})
        >>> unpack(contents)["test"]
        {'pay': array([3.])}
    """
    line, _, body = bz2.decompress(contents).partition(b"\n")
    header = json.loads(line)
    sizes = header["splits"]
    digits = np.frombuffer(body, "u1").reshape(sum(sizes.values()), -1)  # (rows, bytes per row)
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
        for split, split_entries in zip(sizes, np.split(entries, bounds), strict=True):
            tables[split][name] = split_entries
    return tables
