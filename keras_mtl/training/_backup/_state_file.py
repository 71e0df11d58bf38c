"""The file of a backup: all variables, and where training was."""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

NAME = "backup.npz"
_FACTS = "facts"


@dataclasses.dataclass(frozen=True)
class SavedState:
    """Holds what a backup knows of a training.

    Args:
        epoch: The epoch (from 0) in which training goes on.
        step: How many of its batches are done.
        arrays: The values of all variables, in the order of `variables_of`.
        description: What the training stands on, by name.
        callbacks: The memory of callbacks of Keras, in their order.
        seed: Of the orders of data that a backup draws.
    """

    epoch: int
    step: int
    arrays: Sequence[np.ndarray]
    description: Mapping[str, str]
    callbacks: Sequence[Mapping[str, Any]]
    seed: int = 0


def variables_of(model: keras.Model) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """Returns the variables of a compiled model and its optimizer, and those of its metrics."""
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    counted = {id(variable) for variable in metrics}
    kept = {
        id(variable): variable
        for variable in (*model.variables, *model.optimizer.variables)
        if id(variable) not in counted
    }
    return list(kept.values()), metrics


def write_state(folder: Path, state: SavedState) -> None:
    """Writes the file under another name and moves it, so that a killed run leaves a whole one."""
    arrays = [np.asarray(array) for array in state.arrays]
    facts = {
        **dataclasses.asdict(dataclasses.replace(state, arrays=())),
        "arrays": [(array.dtype.name, array.shape) for array in arrays],
    }
    # As bytes, since NumPy's files do not know bfloat16. The ZIP format adds a checksum.
    entries: dict[str, Any] = {
        f"{i:05}": np.frombuffer(array.tobytes(), np.uint8) for i, array in enumerate(arrays)
    }
    entries[_FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"new-{NAME}"
    with new.open("wb") as file:
        np.savez(file, **entries)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / NAME)


def read_state(folder: Path) -> SavedState | None:
    """Reads the file; returns `None` if there is none.

    Raises:
        ValueError: If it is no backup, or is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file) as entries:
            facts = json.loads(entries[_FACTS].tobytes())
            arrays = [
                np.frombuffer(entries[f"{i:05}"].tobytes(), _dtype(dtype)).reshape(shape)
                for i, (dtype, shape) in enumerate(facts.pop("arrays"))
            ]
        return SavedState(**{**facts, "arrays": arrays})
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no backup, or is damaged ({error}). Remove it to train from the beginning."
        ) from error


def check_fit(state: SavedState, variables: Sequence[keras.Variable], folder: Path) -> None:
    """Checks that a state has the variables of the model.

    Raises:
        ValueError: If their number, a shape or a dtype differs.
    """
    saved = [(tuple(array.shape), array.dtype.name) for array in state.arrays]
    here = [(tuple(variable.shape), _name(variable.dtype)) for variable in variables]
    if saved == here:
        return
    pairs = zip(saved, here, variables, strict=False)
    first = next((pair for pair in pairs if pair[0] != pair[1]), None)
    difference = (
        f"{len(saved)} variables are saved, and the model has {len(here)}"
        if first is None
        else f"{first[2].path!r} is {first[1]}, and {first[0]} is saved"
    )
    raise ValueError(
        f"the backup in {folder} belongs to another model: {difference}. Remove the folder to "
        "train from the beginning, or build and compile the model as it was."
    )


def digest(*parts: Any) -> bytes:
    """Returns 8 bytes that differ, except by chance, if any array or text differs."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.name}{part.shape}".encode())
            total.update(part.tobytes())
        else:
            total.update(repr(part).encode())
    return total.digest()[:8]


def _dtype(name: str) -> Any:
    if name == "bfloat16":
        import tensorflow as tf

        return tf.bfloat16.as_numpy_dtype
    return np.dtype(name)


def _name(dtype: Any) -> str:
    return str(keras.backend.standardize_dtype(dtype))
