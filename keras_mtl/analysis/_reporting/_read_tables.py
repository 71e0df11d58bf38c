"""Tables that users pass: lists of dicts, data frames, and dicts of either by title."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl.analysis._reporting._page import Table, make_table


def read_tables(value: Any, argument: str) -> tuple[Table, ...]:
    """Reads one or several tables.

    Args:
        value: A list of dicts or a data frame; or a dict: its entries that are such tables, or
            dicts, become tables with their keys as titles, and all other entries one table of names
            and values.
        argument: What the value is called in an error; the name of the first CSV file.

    Raises:
        TypeError: If the value is none of these.
    """
    if not isinstance(value, Mapping):
        return (make_table(argument, argument.capitalize(), _read_rows(value, argument)),)
    single = {key: entry for key, entry in value.items() if not _is_table(entry)}
    tables = []
    if single:
        tables.append(make_table(argument, argument.capitalize(), _list_entries(single)))
    for title, entry in value.items():
        if title not in single:
            name = f"{argument}_{to_file_name(str(title))}"
            rows = _read_rows(entry, f"{argument}[{title!r}]")
            tables.append(make_table(name, str(title), rows))
    return tuple(tables)


def to_file_name(title: str) -> str:
    """Returns a title as a part of a file's name: letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "table"


def _is_table(value: Any) -> bool:
    if isinstance(value, Mapping) or _is_frame(value):
        return True
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return is_list and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_dict")


def _read_rows(value: Any, argument: str) -> list[Mapping[str, Any]]:
    if _is_frame(value):
        named = value.reset_index() if any(value.index.names) else value
        return list(named.to_dict("records"))
    if isinstance(value, Mapping):
        if value and all(isinstance(row, Mapping) for row in value.values()):
            return [{"name": str(key), **row} for key, row in value.items()]
        return _list_entries(value)
    rows = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(
            f"{argument} is {type(value).__name__}; expected a list of dicts, a data frame, or a "
            "dict of them by title."
        )
    return rows


def _list_entries(entries: Mapping[Any, Any]) -> list[Mapping[str, Any]]:
    return [{"name": str(key), "value": value} for key, value in entries.items()]
