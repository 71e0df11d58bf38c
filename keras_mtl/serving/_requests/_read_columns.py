"""Requests as arrays, lists or rows of Python, without a body of HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.serving._contract import Column, Contract
from keras_mtl.serving._drifting._read import is_missing
from keras_mtl.serving._requests._refusal import Refusal, name_type, quote
from keras_mtl.serving._requests._request import check_names, check_rows
from keras_mtl.serving._settings import Limits

_KINDS = frozenset("biufUSOT")
"""NumPy's letters of dtypes whose entries are numbers, truth values or text, and not dates."""


def columns_of(contract: Contract, outputs: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns from which some outputs are computed."""
    return tuple(dict.fromkeys(name for output in outputs for name in contract.reads[output]))


def read_columns(contract: Contract, columns: Any, outputs: Sequence[str]) -> dict[str, list[Any]]:
    """Returns columns as nested lists of Python's own values, one per row.

    Args:
        contract: What the version takes.
        columns: By name, an array or nested lists; or a data frame.
        outputs: The outputs that are asked for.

    Raises:
        Refusal: If a column is missing or unknown, stands twice, or is no list of rows.
    """
    is_frame = not isinstance(columns, Mapping) and hasattr(columns, "items")
    if is_frame:
        columns = _by_name(columns)
    elif not isinstance(columns, Mapping):
        raise Refusal(
            400,
            "type",
            f"columns must be a dict by name or a data frame; received {_describe(columns)}.",
        )
    for name in columns:
        if not isinstance(name, str):
            raise Refusal(
                400, "columns", f"names of columns must be text; received {_describe(name)}."
            )
    check_names(columns, columns_of(contract, outputs), tuple(contract.columns), "this model")
    lists = {}
    for name, values in columns.items():
        column = contract.columns[name]
        if is_frame:
            values = _read_cells(column, values)
        rows = _to_lists(name, values, 1 + len(column.shape))
        if type(rows) is not list:
            raise Refusal(
                400,
                "shape",
                f"column {name!r} must be a list or an array of rows; received {_describe(rows)}.",
                name,
            )
        lists[name] = rows
    return lists


def read_rows(rows: Sequence[Mapping[str, Any]], limits: Limits) -> dict[str, list[Any]]:
    """Returns the columns of some rows, whose names are those of the first row.

    Raises:
        Refusal: If rows are no list of dicts, are too many, or have different columns.
    """
    if not isinstance(rows, list | tuple):
        raise Refusal(400, "type", f"rows must be a list of dicts; received {_describe(rows)}.")
    check_rows(len(rows), limits)
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise Refusal(
                400, "type", f"row {place} must be a dict by column; received {_describe(row)}."
            )
        if row.keys() != rows[0].keys():
            name = quote(min(row.keys() ^ rows[0].keys(), key=str))
            raise Refusal(
                400, "columns", f"row {place} and row 0 differ in column {name}: one lacks it."
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


def _by_name(frame: Any) -> dict[Any, Any]:
    """Returns the columns of a data frame.

    Raises:
        Refusal: If a name stands twice.
    """
    columns: dict[Any, Any] = {}
    for name, values in frame.items():
        if name in columns:
            raise Refusal(400, "columns", f"column {quote(name)} stands twice in the data frame.")
        columns[name] = values
    return columns


def _read_cells(column: Column, values: Any) -> list[Any]:
    """Returns the cells of a column of a data frame, in the shape of the rows of the model.

    A data frame has one cell per row, which is a list if a row has several entries. It has NaN for
    missing numbers: these are `None` where the network fills them, as in other requests.
    """
    cells = [_read_cell(column, cell) for cell in list(values)]
    if column.shape == (1,):
        return [cell if isinstance(cell, list) else [cell] for cell in cells]
    return cells


def _read_cell(column: Column, cell: Any) -> Any:
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, list | tuple):
        return [_read_cell(column, entry) for entry in cell]
    # NaN where the network fills none is refused by its name: the number is not finite.
    is_nan = isinstance(cell, float | np.floating) and column.dtype != "string"
    return None if is_missing(cell) and (column.filled or not is_nan) else cell


def _to_lists(name: str, values: Any, depth: int) -> Any:
    """Returns arrays and NumPy's scalars as lists and values of Python, to some depth.

    What lies deeper than the shape of the column is left as it is, and refused for its shape: a
    request of any depth is answered.
    """
    if isinstance(values, np.ndarray | np.generic) or (depth and hasattr(values, "__array__")):
        array = np.asarray(values)
        if array.dtype.kind not in _KINDS:
            sentence = f"column {name!r} has the dtype {array.dtype}, not numbers or text."
            raise Refusal(400, "type", sentence, name)
        values = array.tolist()
    if isinstance(values, list | tuple) and depth:
        return [_to_lists(name, value, depth - 1) for value in values]
    return _to_text(values) if type(values) is bytes else values


def _to_text(content: bytes) -> str | bytes:
    """Returns text in UTF-8 as `str`; other bytes are refused by the checks of the column."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _describe(value: Any) -> str:
    """Returns what was received instead, without its value."""
    if type(value) in (dict, list, str, bool, int, float, type(None)):
        return name_type(value)
    return f"an object of type {type(value).__name__}"
