"""Labels as users bring them: one column per label, numbers or codes of classes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._names import read_names
from keras_mtl.analysis._inputs._numbers import FloatArray, is_missing, read_numbers

KINDS = ("numeric", "binary", "classes")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Holds the labels of all tasks, column by column.

    Args:
        tasks: The names of the K tasks.
        kinds: The kind of each task, by its position.
        owners: For each of the C columns, the position of its task, `[C]`.
        names: For each column, its name within its task.
        values: The labels, `[rows, C]`, NaN where missing. Classes are numbered from 0.
    """

    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    owners: npt.NDArray[np.intp]
    names: tuple[str, ...]
    values: FloatArray

    def of_kinds(self, *kinds: str) -> npt.NDArray[np.intp]:
        """Returns the positions of the columns whose task has one of these kinds."""
        chosen = [self.kinds[owner] in kinds for owner in self.owners]
        return np.flatnonzero(np.array(chosen, bool))


def read_columns(labels: Any, kinds: Mapping[str, str] | None) -> Columns:
    """Reads a data frame, or a dict of arrays `[rows]` or `[rows, columns]` by task.

    Raises:
        TypeError: If labels are no dict and no frame, or dates or complex numbers.
        ValueError: If numbers of rows differ, a label is infinite, or a kind does not fit.
    """
    if not isinstance(labels, Mapping) and not hasattr(labels, "columns"):
        raise TypeError(
            f"labels is of type {type(labels).__name__}; expected a dict of labels by task, or a "
            "data frame with a column for each task."
        )
    tasks = read_names(list(labels))
    arrays = [labels[key] for key in labels]
    if not tasks:
        raise ValueError("labels is empty; expected at least one task.")
    _check_kinds(kinds, tasks)
    owners, names, columns, task_kinds = [], [], [], []
    for position, (task, array) in enumerate(zip(tasks, arrays, strict=True)):
        values, kind, column_names = _read_task(array, task, (kinds or {}).get(task))
        owners += [position] * values.shape[1]
        names += column_names
        columns.append(values)
        task_kinds.append(kind)
    _check_lengths([len(values) for values in columns], tasks)
    return Columns(
        tasks, tuple(task_kinds), np.array(owners, np.intp), tuple(names), np.hstack(columns)
    )


def _check_kinds(kinds: Mapping[str, str] | None, tasks: Sequence[str]) -> None:
    for task, kind in (kinds or {}).items():
        if task not in tasks:
            raise ValueError(f"kinds names the task {task!r}; expected one of {list(tasks)}.")
        if kind not in KINDS:
            raise ValueError(f"kinds[{task!r}] is {kind!r}; expected one of {list(KINDS)}.")


def _check_lengths(lengths: Sequence[int], tasks: Sequence[str]) -> None:
    for task, length in zip(tasks, lengths, strict=True):
        if length != lengths[0]:
            raise ValueError(
                f"task {task!r} has {length} rows and task {tasks[0]!r} {lengths[0]}; expected the "
                "same rows, with NaN for missing labels."
            )
    if not lengths[0]:
        raise ValueError("labels has no rows; expected at least one.")


def _read_task(labels: Any, task: str, kind: str | None) -> tuple[FloatArray, str, list[str]]:
    """Returns the columns of a task, its kind, and their names."""
    names = list(map(str, labels.columns)) if hasattr(labels, "columns") else None
    array = np.ma.filled(labels, np.nan) if np.ma.isMaskedArray(labels) else np.asarray(labels)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"task {task!r} has labels of shape {array.shape}; expected (rows,) or (rows, columns)."
            " Reshape labels of tokens or pixels to one row each."
        )
    array = array[:, None] if array.ndim == 1 else array
    names = names or list(map(str, range(array.shape[1])))
    is_text = array.dtype.kind in "US" or (
        array.dtype.kind == "O" and any(isinstance(entry, str | bytes) for entry in array.flat)
    )
    if is_text:
        if kind in ("numeric", "binary"):
            raise TypeError(f"task {task!r} has text as labels; expected numbers for {kind!r}.")
        return _number_classes(array), "classes", names
    values = read_numbers(array, f"task {task!r}")
    _check_finite(values, task)
    present = values[~np.isnan(values)]
    is_binary = len(present) > 0 and bool(np.isin(present, (0, 1)).all())
    kind = kind or ("binary" if is_binary else "numeric")
    if kind == "numeric":
        return values, kind, names
    codes = _number_classes(values)
    if kind == "binary" and codes[~np.isnan(codes)].max(initial=0) > 1:
        raise ValueError(
            f"task {task!r} has the labels {np.unique(present)[:5].tolist()} ...; expected at most "
            "two different ones for 'binary'. Pass the kind 'classes' or 'numeric'."
        )
    # Labels 0 and 1 keep their meaning where only one of them comes.
    return (values if is_binary else codes), kind, names


def _check_finite(values: FloatArray, task: str) -> None:
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if len(infinite):
        raise ValueError(
            f"task {task!r} has an infinite label in row {infinite[0]}; expected finite labels, "
            "with NaN for missing ones."
        )


def _number_classes(array: npt.NDArray[Any]) -> FloatArray:
    """Returns classes numbered in sorted order, NaN where missing."""
    if array.dtype.kind == "f":
        missing = np.isnan(array)
    else:
        missing = np.array([is_missing(entry) for entry in array.flat], bool).reshape(array.shape)
    codes = np.full(array.shape, np.nan)
    present = array[~missing]
    if array.dtype.kind == "O":  # of text and numbers, which do not sort
        present = present.astype(str)
    codes[~missing] = np.unique(present, return_inverse=True)[1]
    return codes
