"""Data frames and dicts of arrays as plain NumPy columns, without importing pandas."""

import datetime
import numbers
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Columns: TypeAlias = dict[str, npt.NDArray[Any]]

_DAY = np.timedelta64(1, "D")
_NO_VALUES = {"NAType", "NaTType"}  # of pandas, whose comparisons give no booleans


def is_table(source: Any) -> bool:
    """Tells whether `source` is a dict of arrays or a data frame."""
    return isinstance(source, Mapping) or (
        hasattr(source, "columns") and hasattr(source, "__getitem__")
    )


def read_table(source: Any) -> tuple[Columns, list[str]]:
    """Returns the columns of a data frame, or of a dict of arrays, as NumPy arrays.

    Numbers keep their dtype (float64 with NaN where an integer or a boolean is missing), strings
    become bytes (empty where they are missing), and dates days since 1970-01-01 in UTC.

    Args:
        source: A frame of pandas or polars, or a dict of arrays, lists or tensors.

    Returns:
        The columns `(rows,)` by name, and the names of those columns of numbers that the frame
        declares categorical (`category` of pandas).

    Raises:
        TypeError: If a name is no string, or a column mixes numbers and strings or holds
            something else.
        ValueError: If a name comes twice, a column has more than one value per row, or columns
            differ in length.
    """
    names = list(source) if isinstance(source, Mapping) else list(source.columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"column {name!r}: the names of columns must be strings; rename it "
                "(frame.columns = frame.columns.astype(str))."
            )
        if names.count(name) > 1:
            raise ValueError(f"column {name!r} comes twice in the table; rename one of them.")
    columns = {name: _read_column(name, source[name]) for name in names}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in their numbers of rows: {lengths}.")
    declared = [
        name
        for name, column in columns.items()
        if str(getattr(source[name], "dtype", "")) == "category" and column.dtype != object
    ]
    return columns, declared


def _read_column(name: str, column: Any) -> npt.NDArray[Any]:
    """Returns one column as numbers, or as an object array of bytes."""
    dtype = str(getattr(column, "dtype", ""))
    values = _to_numpy(column)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"column {name!r} has shape {values.shape}; expected (rows,). Split a column of "
            "several values."
        )
    kind = values.dtype.kind
    if kind in "USO":
        return _read_objects(name, values.astype(object), text=kind != "O" or dtype[:3] == "str")
    if kind in "mM":
        return _to_days(values)
    if kind == "f":
        return values.astype(np.float32 if values.dtype.itemsize < 4 else values.dtype)
    if kind not in "biu":
        raise TypeError(
            f"column {name!r} holds {values.dtype}; expected numbers, strings or dates."
        )
    return values


def _to_numpy(column: Any) -> npt.NDArray[Any]:
    """Returns a column of a frame, an array, a list or a tensor as an array."""
    convert = getattr(column, "to_numpy", None) or getattr(column, "numpy", None)
    values = convert() if convert is not None else column
    if isinstance(values, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(values)
        values = values.data.astype(object)
        values[missing] = None
    return np.asarray(values)


def _read_objects(name: str, values: npt.NDArray[Any], *, text: bool) -> npt.NDArray[Any]:
    """Returns Python objects as numbers or as bytes.

    Args:
        name: The name of the column, for messages.
        values: The objects; `None`, NaN, `pandas.NA` and `pandas.NaT` are missing.
        text: Whether a column without any value is one of strings.
    """
    missing = np.fromiter(map(_is_missing, values), bool, len(values))
    present = values[~missing]
    if all(isinstance(value, str | bytes) for value in present) and (text or len(present)):
        result = np.full(len(values), b"", object)
        result[~missing] = [
            value if isinstance(value, bytes) else value.encode() for value in present
        ]
        return result
    if len(present) and all(_is_date(value) for value in present):
        days = np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
        days[~missing] = [_to_utc(value) for value in present]
        return _to_days(days)
    if all(_is_number(value) for value in present):
        return _read_numbers(name, present, missing)
    kinds = sorted({type(value).__name__ for value in present})
    raise TypeError(
        f"column {name!r} holds {' and '.join(kinds)}; expected numbers, strings or dates alone. "
        "Convert it, for example with .astype(str)."
    )


def _read_numbers(
    name: str, present: npt.NDArray[Any], missing: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Returns integers if all values are, and else float64 with NaN where a value is missing."""
    whole = all(isinstance(value, numbers.Integral | np.bool_) for value in present)
    if whole and not missing.any():
        return present.astype(np.int64)
    if whole and any(abs(int(value)) > 2**53 for value in present):
        raise ValueError(
            f"column {name!r} has gaps, and whole numbers beyond 2^53, which no float tells apart; "
            "make strings of them."
        )
    result = np.full(len(missing), np.nan)
    result[~missing] = present.astype(np.float64)
    return result


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in _NO_VALUES:
        return True
    return isinstance(value, float | np.floating | np.datetime64) and bool(value != value)


def _is_number(value: Any) -> bool:
    # Decimal is a Number, but no Real.
    return isinstance(value, numbers.Number | np.bool_) and not isinstance(value, complex)


def _is_date(value: Any) -> bool:
    return isinstance(value, datetime.date | np.datetime64)


def _to_utc(value: Any) -> Any:
    """Returns a date without a time zone, in UTC, as NumPy reads it."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value


def _to_days(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Returns dates as days since 1970-01-01, and time spans as days; NaN where one is missing."""
    spans = values - np.datetime64(0, "D") if values.dtype.kind == "M" else values
    return np.asarray(spans / _DAY, np.float64)
