"""Numbers as users bring them: lists, frames, masked arrays, columns with NA."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def read_numbers(values: Any, name: str) -> FloatArray:
    """Returns numbers as float64, with NaN for whatever is missing.

    `None`, `pandas.NA`, NaN and masked entries are missing. Booleans become 0 and 1.

    Args:
        values: Anything that `numpy.asarray` takes.
        name: What the values are called in an error.

    Raises:
        TypeError: If an entry is no real number: text, a date or a complex number.
        ValueError: If rows differ in length.
    """
    if np.ma.isMaskedArray(values):
        values = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no rectangular array: {error}.") from error
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "O":
        flat = [_read_entry(entry, name) for entry in array.ravel()]
        return np.array(flat, np.float64).reshape(array.shape)
    raise TypeError(
        f"{name} has dtype {array.dtype}; expected numbers. Convert the values first, for example "
        "with .astype(float)."
    )


def is_missing(entry: Any) -> bool:
    """Returns whether an entry is `None`, `pandas.NA`, `pandas.NaT` or NaN."""
    # The names stand in for pandas, which users need not have installed.
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(entry, float | np.floating) and bool(np.isnan(entry))


def _read_entry(entry: Any, name: str) -> float:
    if is_missing(entry):
        return np.nan
    if isinstance(entry, bool | int | float | np.bool_ | np.integer | np.floating):
        return float(entry)
    raise TypeError(
        f"{name} holds {entry!r} of type {type(entry).__name__}; expected numbers, with NaN, None "
        "or NA for missing ones."
    )
