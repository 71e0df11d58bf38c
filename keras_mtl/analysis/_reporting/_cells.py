"""Values as plain values, as text on the page, and as cells of CSV files."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._printing._tables import format_number

NONE = "\N{EN DASH}"
"""The cell of a value that does not exist."""

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_plain(value: Any) -> Any:
    """Returns a value as JSON knows it: numbers without NaN, texts, lists and dicts."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        entries = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [to_plain(entry) for entry in entries]
    return str(value)


def to_text(value: Any) -> str:
    """Returns a plain value as the text of a cell: numbers with three significant digits."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format_number(value) if abs(value) < 1000.0 else f"{value:,.0f}"
    if isinstance(value, int):
        return str(value) if abs(value) < 100_000 else f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {to_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(to_text, value))
    return str(value)


def to_percent(value: float | None) -> str:
    """Returns a fraction as a number of percent, without the sign."""
    return NONE if value is None or math.isnan(value) else format_number(100.0 * value)


def to_interval(lower: float | None, upper: float | None, *, percent: bool = False) -> str:
    """Returns the ends of an interval in brackets."""
    ends = [
        math.nan if end is None else end * (100.0 if percent else 1.0) for end in (lower, upper)
    ]
    if any(map(math.isnan, ends)):
        return NONE
    return f"[{format_number(ends[0])}, {format_number(ends[1])}]"


def to_csv(value: Any) -> Any:
    """Returns a plain value as a cell that no spreadsheet takes for a formula.

    Texts that begin as formulas do get an apostrophe before them. Numbers stay as they are.
    """
    if isinstance(value, Mapping | list):
        value = to_text(value)
    if isinstance(value, str) and value.startswith(_DANGEROUS):
        return f"'{value}"
    return "" if value is None else value
