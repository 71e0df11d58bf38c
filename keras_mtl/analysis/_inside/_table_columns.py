"""The columns of inputs that are permuted, one by one or in groups."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse.csgraph
import scipy.stats

Array = npt.NDArray[Any]

_MAX_ROWS = 20_000  # of correlations


class Column(NamedTuple):
    """Holds where a column is: an input by its name, and a position in its last axis.

    All of an input is one column where the position is `None`.
    """

    input: str
    position: int | None


def find_columns(inputs: Mapping[str, Array]) -> dict[str, Column]:
    """Returns the columns of inputs by name.

    Each column of floats `(rows, columns)` is one by itself. Ids in a row, images, and whatever
    else has more axes stay together.
    """
    columns = {}
    for name, array in inputs.items():
        if array.ndim == 2 and array.shape[1] != 1 and array.dtype.kind == "f":
            for position in range(array.shape[1]):
                columns[f"{name}/{position}"] = Column(name, position)
        else:
            columns[name] = Column(name, None)
    return columns


def read_groups(
    columns: Mapping[str, Column], chosen: Sequence[str] | Mapping[str, Sequence[str]] | None
) -> dict[str, list[Column]]:
    """Returns what is permuted together, by name.

    Args:
        columns: All columns.
        chosen: Names of columns or inputs, each of which is permuted by itself; or, by name of a
            group, those of its columns; `None` for all columns.

    Raises:
        ValueError: If a choice names no column.
    """
    if chosen is None:
        return {name: [column] for name, column in columns.items()}
    if not isinstance(chosen, Mapping):
        return {name: _read(name, columns, "columns") for name in chosen}
    return {
        name: [column for part in parts for column in _read(part, columns, f"group {name!r}")]
        for name, parts in chosen.items()
    }


def _read(part: str, columns: Mapping[str, Column], where: str) -> list[Column]:
    of_input = [column for column in columns.values() if column.input == part]
    if part in columns:
        return [columns[part]]
    if not of_input:
        names = list(columns)
        shown = f"{names[:20]}" + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
        raise ValueError(f"{where}: there is no column {part!r}; expected some of {shown}.")
    return of_input


def permute(
    inputs: Mapping[str, Array], columns: Sequence[Column], order: npt.NDArray[np.int64]
) -> dict[str, Array]:
    """Returns inputs in which the rows of some columns are in another order, all in the same."""
    permuted = dict(inputs)
    for column in columns:
        if column.position is None:
            permuted[column.input] = inputs[column.input][order]
            continue
        if permuted[column.input] is inputs[column.input]:
            permuted[column.input] = inputs[column.input].copy()
        values = inputs[column.input][order, column.position]
        permuted[column.input][:, column.position] = values
    return permuted


def correlated_columns(
    inputs: Mapping[str, Array], columns: Mapping[str, Column], limit: float = 0.8
) -> tuple[tuple[str, ...], ...]:
    """Returns groups of columns of numbers with absolute rank correlations above a limit.

    A missing number has the mean rank.
    """
    names, ranks = [], []
    for name, column in columns.items():
        values = inputs[column.input][:_MAX_ROWS]
        values = values if column.position is None else values[:, column.position]
        if values.dtype.kind not in "biuf" or values.size != len(values):
            continue
        ranked = scipy.stats.rankdata(values.astype(np.float64).ravel(), nan_policy="omit")
        ranked = ranked - np.nanmean(ranked) if np.isfinite(ranked).any() else ranked
        length = np.sqrt(np.nansum(ranked**2))
        if length > 0:  # constant columns have no correlation
            names.append(name)
            ranks.append(np.nan_to_num(ranked) / length)
    if not names:
        return ()
    stacked = np.stack(ranks)
    _, labels = scipy.sparse.csgraph.connected_components(np.abs(stacked @ stacked.T) > limit)
    groups = [
        tuple(name for name, place in zip(names, labels, strict=True) if place == label)
        for label in range(labels.max() + 1)
    ]
    return tuple(group for group in groups if len(group) > 1)
