"""Records as lines of JSON, one per epoch, in a file that survives a killed run."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
"""What is known of an epoch: numbers, and lists of them; `None` where one does not exist."""

_DIGITS = 7  # float32 has no more


def plain(value: Any) -> Any:
    """Returns numbers and arrays as JSON has them; NaN and infinity become `None`."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def read_records(path: Path, before: int) -> list[Record]:
    """Returns the records of the epochs before one; a half line of a killed run is left out."""
    records = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the process was killed while it wrote
            break
        if record["epoch"] < before:
            records.append(record)
    return records


def write_records(path: Path, records: list[Record]) -> None:
    """Writes a file anew; a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text("".join(json.dumps(record) + "\n" for record in records))
    os.replace(new, path)


def append_record(path: Path, record: Record) -> None:
    """Adds a line, which is on the disk when this returns."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
