"""Columns, predictions and labels as arrays: lists, arrays, and columns of data frames.

Errors name the column or task and say nothing of its values, which may be personal.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.export._beside._interface import Shape

FloatArray = npt.NDArray[np.float64]


def read_named(values: Any, argument: str, known: Iterable[str]) -> dict[str, Any]:
    """Returns entries by name, of a dict or a data frame.

    Args:
        values: The dict or data frame.
        argument: What it is called in an error.
        known: The names that the version knows.

    Raises:
        TypeError: If it is neither.
        ValueError: If a name is unknown.
    """
    if not hasattr(values, "items"):
        raise TypeError(
            f"{argument} is {type(values).__name__}; expected a dict by name, or a data frame."
        )
    named = {str(name): entry for name, entry in values.items()}
    known = sorted(known)
    if unknown := sorted(set(named) - set(known)):
        raise ValueError(
            f"{argument} holds {unknown}, which the version does not know; leave them out. It "
            f"knows {known}."
        )
    return named


def read_numbers(values: Any, what: str) -> FloatArray:
    """Returns numbers, with NaN for `None`, NA and masked entries.

    Raises:
        ValueError: If an entry is no number, or rows differ in length.
    """
    if np.ma.isMaskedArray(values):
        values = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    array = _to_objects(values)
    if array.dtype.kind == "O":
        flat = [np.nan if is_missing(entry) else entry for entry in array.ravel()]
        if all(isinstance(entry, bool | int | float | np.number | np.bool_) for entry in flat):
            return np.array(flat, np.float64).reshape(array.shape)
    elif array.dtype.kind in "biuf":
        return array.astype(np.float64)
    raise ValueError(
        f"{what} must be numbers in rows of one shape, with NaN or None for missing ones; received "
        f"dtype {array.dtype}."
    )


def read_strings(values: Any, what: str) -> list[str | None]:
    """Returns all strings of a column one after another, with `None` for missing ones.

    Raises:
        ValueError: If an entry is no string.
    """
    texts: list[str | None] = []
    for entry in np.asarray(_to_objects(values), object).ravel():
        if is_missing(entry):
            texts.append(None)
        elif isinstance(entry, str | bytes):
            texts.append(entry if isinstance(entry, str) else entry.decode("utf-8", "replace"))
        else:
            raise ValueError(
                f"{what} holds {type(entry).__name__}, and the version takes strings: read the "
                "column as text, for example with dtype=str."
            )
    return texts


def read_predictions(values: Any, shape: Shape, what: str) -> FloatArray:
    """Returns predictions `(rows, ...)` in the shape of the output of a task.

    Args:
        values: The predictions; an axis of length 1 may lack, as in a column of a data frame.
        shape: The shape of the output, the batch first.
        what: What they are called in an error.

    Raises:
        ValueError: If the shape is another one, or an entry is no number.
    """
    array = read_numbers(values, what)
    single = tuple(shape[1:]) in ((), (1,))
    if single and array.ndim and array.size == len(array):
        return array.reshape(len(array), *([1] * (len(shape) - 1)))
    sizes = zip(array.shape[1:], shape[1:], strict=False)
    if array.ndim != len(shape) or any(size not in (n, None) for n, size in sizes):
        expected = ", ".join("any" if size is None else str(size) for size in shape[1:])
        raise ValueError(
            f"{what} have the shape {array.shape}; expected (rows{expected and ', '}{expected}), "
            "as the version answers."
        )
    return array


def is_missing(entry: Any) -> bool:
    """Returns whether an entry is `None`, `pandas.NA`, `pandas.NaT` or NaN."""
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(entry, float | np.floating) and bool(np.isnan(entry))


def _to_objects(values: Any) -> npt.NDArray[Any]:
    """Returns an array; a column of lists, as data frames have them, gets further axes."""
    try:
        array = np.asarray(values)
        is_column = array.dtype.kind == "O" and array.ndim == 1 and len(array) > 0
        if is_column and isinstance(array[0], list | tuple | np.ndarray):
            array = np.array([np.asarray(entry, object) for entry in array], object)
    except ValueError:  # rows of different lengths
        return np.array(["ragged"])
    return array
