"""The arguments of `tabular_encoder`, checked against the columns of the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl.data._elements._numbers import read_number, read_whole
from keras_mtl.data._tables._numeric_statistics import NumericOptions
from keras_mtl.data._tables._table import Table

_FILLS = ("median", "mean")


def split_columns(table: Table, categorical: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the columns of numbers, and those of numbers that stand for categories.

    Args:
        table: The table; its strings are categories anyway.
        categorical: Names of columns, in addition to those that the table declares.

    Raises:
        ValueError: If the table has no such column.
    """
    names = list_names(categorical, "categorical", list(table.dtypes), "the columns")
    codes = {*names, *table.declared}
    of_numbers = [name for name in table.dtypes if not table.is_text(name)]
    numbers = [name for name in of_numbers if name not in codes]
    return numbers, [name for name in of_numbers if name in codes]


def list_names(names: Any, argument: str, known: Sequence[str], of_what: str) -> list[str]:
    """Returns names of columns as a list; checks that they are columns.

    Raises:
        ValueError: If one is no column. The message tells the argument.
    """
    if isinstance(names, str):
        raise ValueError(f"{argument} is one string, {names!r}; put it in a list.")
    unknown = sorted(set(names) - set(known), key=str)
    if unknown:
        raise ValueError(f"{argument} names {unknown}; {of_what} are {list(known)}.")
    return list(names)


def read_missing(missing: Any, numbers: Sequence[str]) -> dict[str, str | float]:
    """Returns by column how gaps are filled; columns that are left out may not have any.

    Args:
        missing: `None`, `"median"`, `"mean"` or a number for all columns, or a dict by column.
        numbers: The columns of numbers.

    Raises:
        ValueError: If it is another string, no number, or names no column of numbers.
    """
    if missing is None:
        return {}
    if not isinstance(missing, Mapping):
        return dict.fromkeys(numbers, _read_fill(missing, "missing is"))
    list_names(missing, "missing", numbers, "the columns of numbers")
    return {name: _read_fill(how, f"column {name!r}: missing is") for name, how in missing.items()}


def _read_fill(how: Any, subject: str) -> str | float:
    if not isinstance(how, str):
        return read_number(how, subject)
    if how not in _FILLS:
        raise ValueError(f"{subject} {how!r}; expected 'median', 'mean' or a number.")
    return how


def read_clip(clip: Any) -> tuple[float | None, tuple[float, float] | None]:
    """Returns the limit in deviations, and the two quantiles; one of them, or both, is `None`.

    Raises:
        ValueError: If `clip` is neither a number above 0 nor a pair of quantiles in order.
    """
    if clip is None:
        return None, None
    if not isinstance(clip, list | tuple):
        return read_number(clip, "clip is", low=0, above=True), None
    if len(clip) != 2:
        raise ValueError(f"clip is {clip!r}; expected a number of deviations, or two quantiles.")
    low, high = (read_number(part, "clip has the quantile", low=0, high=1) for part in clip)
    if low >= high:
        raise ValueError(f"clip is {clip!r}; expected a lower and a higher quantile.")
    return None, (low, high)


def read_numeric_options(
    numbers: Sequence[str], log: Any, missing: Any, quantiles: Any, bins: Any
) -> NumericOptions:
    """Returns the options of the columns of numbers, checked."""
    return NumericOptions(
        log=list_names(log, "log", numbers, "the columns of numbers"),
        missing=read_missing(missing, numbers),
        quantiles=quantiles,
        bins=0 if bins is None else read_whole(bins, "bins is", low=2),
    )
