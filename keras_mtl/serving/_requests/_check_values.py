"""Checks of the values of one column of a request."""

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

from keras_mtl.serving._contract import FLOATS, INTEGERS, Column
from keras_mtl.serving._requests._refusal import Refusal, name_type
from keras_mtl.serving._settings import Limits


def check_values(column: Column, values: list[Any], entries: int, limits: Limits) -> list[Any]:
    """Checks types and ranges of the entries of a column; returns them.

    Args:
        column: The column.
        values: All entries of all rows, one after another.
        entries: The number of entries of one row.
        limits: The bounds of a request.

    Raises:
        Refusal: If an entry has another type, is not finite, or is beyond a bound.
    """
    if column.dtype in FLOATS:
        bound = min(limits.number, FLOATS[column.dtype])
        lowest, highest = _bound(column, -bound, bound, limits)
        for place, value in enumerate(values):
            # The comparison is false for NaN, too.
            if type(value) not in (float, int) or not lowest <= value <= highest:
                if value is not None or not _is_filled(column, place):
                    raise _refuse_number(column, value, _row(place, entries), bound, limits)
                values[place] = math.nan
    elif column.dtype == "string":
        for place, value in enumerate(values):
            if type(value) is not str or len(value) > limits.string_bytes or not value.isascii():
                values[place] = _check_string(column, value, _row(place, entries), limits)
            elif "\0" in value:
                raise _refuse_nul(column, _row(place, entries))
    elif column.dtype == "bool":
        for place, value in enumerate(values):
            if type(value) is not bool:
                raise _refuse_type(column, value, _row(place, entries), "true or false")
    else:
        lowest, highest = _bound(column, *INTEGERS[column.dtype], limits)
        for place, value in enumerate(values):
            if type(value) is not int or not lowest <= value <= highest:
                raise _refuse_integer(column, value, _row(place, entries), limits)
    return values


def flatten(column: Column, rows: Sequence[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """Returns the entries of all rows of a column one after another, and the shape of a row.

    Raises:
        Refusal: If a row does not have the shape of the column, or rows have different shapes.
    """
    if not column.shape:
        return list(rows), ()
    if column.shape == (1,):
        for row, value in enumerate(rows):
            if type(value) is not list or len(value) != 1:
                raise _refuse_shape(column, value, row)
        return [value[0] for value in rows], (1,)
    level = list(rows)
    shape: tuple[int, ...] = ()
    entries = 1
    for size in column.shape:
        # The first row says how long an axis is whose length a request may choose.
        length = size if size is not None else len(level[0]) if type(level[0]) is list else 0
        for place, value in enumerate(level):
            if type(value) is not list or len(value) != length:
                raise _refuse_shape(column, value, _row(place, entries))
        level = [entry for value in level for entry in value]
        shape += (length,)
        entries *= length
        if not level:
            # An axis of length 0 ends here: there are no further entries to look at.
            return [], shape + tuple(n or 0 for n in column.shape[len(shape) :])
    return level, shape


def _bound(column: Column, lowest: float, highest: float, limits: Limits) -> tuple[float, float]:
    """Returns the bounds of a number: those of its dtype, or nearer ones by its usual range."""
    if column.range is None or column.range[0] == column.range[1]:
        return lowest, highest
    start, end = column.range
    margin = limits.range_widths * (end - start)
    return max(lowest, start - margin), min(highest, end + margin)


def _is_filled(column: Column, place: int) -> bool:
    """Returns whether the network fills a missing number in a place."""
    if isinstance(column.filled, bool):
        return column.filled
    length = column.shape[-1] if column.shape else None
    return length is not None and place % length in column.filled


def _row(place: int, entries: int) -> int:
    return place // max(entries, 1)


def _check_string(column: Column, value: Any, row: int, limits: Limits) -> str | bytes:
    """Returns a string that is not short ASCII text, or that is written in base64."""
    if type(value) is dict and value.keys() == {"b64"} and type(value["b64"]) is str:
        value = _decode(column, value["b64"], row)
    if type(value) is bytes and not column.holds_bytes:
        raise _refuse_encoding(column, row)
    if not isinstance(value, str | bytes):
        raise _refuse_type(column, value, row, "a string")
    try:
        length = len(value.encode() if isinstance(value, str) else value)
    except UnicodeEncodeError:
        raise _refuse_encoding(column, row) from None
    if length > limits.string_bytes:
        limit = limits.string_bytes
        raise _refuse(
            column, row, "length", f"the string has {length} bytes; at most {limit} are allowed."
        )
    if isinstance(value, str) and "\0" in value:
        raise _refuse_nul(column, row)
    return value


def _decode(column: Column, text: str, row: int) -> str | bytes:
    """Returns what base64 says: text if it is text in UTF-8, and otherwise the bytes."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refuse_encoding(column, row) from None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _refuse(column: Column, row: int, kind: str, reason: str) -> Refusal:
    return Refusal(400, kind, f"column {column.name!r}, row {row}: {reason}", column.name)


def _refuse_encoding(column: Column, row: int) -> Refusal:
    return _refuse(column, row, "encoding", "the string is not text in UTF-8.")


def _refuse_nul(column: Column, row: int) -> Refusal:
    reason = "the string contains a NUL character, at which a runtime could end it."
    return _refuse(column, row, "encoding", reason)


def _refuse_type(column: Column, value: Any, row: int, expected: str) -> Refusal:
    return _refuse(column, row, "type", f"expected {expected}, received {name_type(value)}.")


def _refuse_number(column: Column, value: Any, row: int, bound: float, limits: Limits) -> Refusal:
    if type(value) not in (float, int):
        return _refuse_type(column, value, row, "a number")
    if value != value or value in (math.inf, -math.inf):
        reason = "the number is not finite; NaN and infinity are not answered."
        return _refuse(column, row, "nonfinite", reason)
    if -bound <= value <= bound:
        return _refuse_range(column, row, limits)
    reason = f"the number is beyond {bound:g}, the bound of this server."
    return _refuse(column, row, "number", reason)


def _refuse_range(column: Column, row: int, limits: Limits) -> Refusal:
    reason = (
        f"the number lies more than {limits.range_widths:g} times the width of the usual range of "
        "this column outside of it."
    )
    return _refuse(column, row, "range", reason)


def _refuse_integer(column: Column, value: Any, row: int, limits: Limits) -> Refusal:
    if type(value) is not int:
        return _refuse_type(column, value, row, "an integer")
    lowest, highest = INTEGERS[column.dtype]
    if lowest <= value <= highest:
        return _refuse_range(column, row, limits)
    reason = f"the integer is beyond the range of {column.dtype}."
    return _refuse(column, row, "number", reason)


def _refuse_shape(column: Column, value: Any, row: int) -> Refusal:
    shape = ", ".join("any" if size is None else str(size) for size in column.shape)
    received = f"a list of length {len(value)}" if type(value) is list else name_type(value)
    reason = f"expected lists of shape [{shape}], received {received} in its place."
    return _refuse(column, row, "shape", reason)
