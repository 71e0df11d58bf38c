"""What was bought, in a file."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.active._picks import Pick, Picks

Array = npt.NDArray[Any]
_LABELS = "labels/"


def write(path: str | pathlib.Path, labels: Mapping[str, Array], history: Sequence[Picks]) -> None:
    """Writes labels and purchases to one file of NumPy (`.npz`); a crash leaves the old one."""
    rounds = [(index, pick) for index, picks in enumerate(history) for pick in picks]
    arrays: dict[str, Any] = {
        "rules": np.array([picks.rule for picks in history], "str"),
        "round": np.array([index for index, _ in rounds], "int64"),
        "row": np.array([pick.row for _, pick in rounds], "int64"),
        "cost": np.array([pick.cost for _, pick in rounds], "float64"),
        # A name holds no line break.
        "names": np.array(["\n".join(pick.names) for _, pick in rounds], "str"),
        **{_LABELS + name: array for name, array in labels.items()},
    }
    path = pathlib.Path(path)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(beside, path)


def read(path: str | pathlib.Path) -> tuple[dict[str, Array], list[Picks]]:
    """Returns the labels and the purchases of a file.

    Raises:
        ValueError: If it is none of `write`.
    """
    with np.load(path, allow_pickle=False) as file:
        if not {"rules", "round", "row", "cost", "names"} <= set(file.files):
            raise ValueError(f"{path} was not written by Pool.save; it has {file.files}.")
        labels = {
            name.removeprefix(_LABELS): file[name]
            for name in file.files
            if name.startswith(_LABELS)
        }
        columns = [file[name].tolist() for name in ("round", "row", "names", "cost")]
        rules = file["rules"].tolist()
    rounds: list[list[Pick]] = [[] for _ in rules]
    for index, row, names, cost in zip(*columns, strict=True):
        rounds[index].append(Pick(row, tuple(names.split("\n")), cost))
    pairs = zip(rounds, rules, strict=True)
    return labels, [Picks(tuple(picks), rule) for picks, rule in pairs]
