"""The tower of each task as it was in its best epoch, in memory and in a file."""

import os
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.callbacks._watching._frozen_tower import FrozenTower


class BestTowers:
    """Keeps the values of the towers of best epochs, for a run that is killed too.

    Args:
        state_file: The file beside which they are written; `None`: nowhere.
    """

    def __init__(self, state_file: Path | None) -> None:
        self._path = None if state_file is None else state_file.with_suffix(".towers.npz")
        self._kept: dict[str, tuple[int, list[npt.NDArray[Any]]]] = {}
        self._changed = False

    def forget(self) -> None:
        """Forgets an earlier training."""
        self._kept = {}

    def keep(self, name: str, epoch: int, tower: FrozenTower) -> None:
        """Keeps the tower of a task as it is now."""
        self._kept[name] = epoch, tower.values
        self._changed = True

    def restore(self, name: str, tower: FrozenTower) -> None:
        """Gives a tower the values of its best epoch; leaves it alone if there was none."""
        if name in self._kept:
            tower.values = self._kept[name][1]
            tower.restore()

    def save(self) -> None:
        """Writes the file under another name and moves it, if a tower has changed."""
        if self._path is None or not self._changed:
            return
        # NumPy's files do not know bfloat16, of which every number is one of float32.
        arrays: dict[str, Any] = {
            f"{name}/{epoch}/{i}": value.astype("float32") if value.dtype.kind == "V" else value
            for name, (epoch, values) in self._kept.items()
            for i, value in enumerate(values)
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f"new-{self._path.name}")
        with new.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(new, self._path)
        self._changed = False

    def recall(self, names: Collection[str], before: int) -> None:
        """Reads the file, for a run that goes on.

        Args:
            names: The tasks that have had a best epoch.
            before: The epoch at which training goes on; what is of later ones is left out.
        """
        if self._path is not None and self._path.exists():
            with np.load(self._path) as arrays:
                for key in arrays:
                    name, epoch, _ = key.rsplit("/", 2)
                    if int(epoch) < before:
                        self._kept.setdefault(name, (int(epoch), []))[1].append(arrays[key])
        missing = sorted({*names} - {*self._kept})
        if missing:
            warnings.warn(
                f"training goes on at epoch {before + 1}, and the towers of the best epochs of "
                f"{missing} are not known: restore_best leaves such a tower as it is, until the "
                "task improves. Pass state_file=... to keep them.",
                stacklevel=3,
            )
