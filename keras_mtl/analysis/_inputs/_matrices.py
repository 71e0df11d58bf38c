"""Square matrices of tasks by tasks, by name where the user gave names."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras_mtl.analysis._inputs._names import read_names
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers


def read_matrices(
    values: Any, tasks: Iterable[Any] | None, argument: str, *, stack: bool = False
) -> tuple[FloatArray, tuple[str, ...]]:
    """Reads an array, a frame, or a dict of dicts by task.

    Args:
        values: `[K, K]`, or `[n, K, K]` where `stack` allows it. A frame needs the same names as
            index and columns, in any order; so does a dict of rows, which are dicts.
        tasks: The names, in the order of the rows of an array. Where a frame or dict has names,
            they choose the order. Without any names, tasks are called by their positions.
        argument: What the values are called in an error.
        stack: Whether a stack of matrices is fine, too.

    Returns:
        The values, and the names of the K tasks.

    Raises:
        TypeError: If a value is no number.
        ValueError: If the matrix is not square, or names do not fit.
    """
    names = read_names(tasks) if tasks is not None else None
    if hasattr(values, "columns") and hasattr(values, "index"):  # a data frame
        columns, index = read_names(values.columns), read_names(values.index)
        rows = dict(zip(index, values.to_numpy().tolist(), strict=True))
        values = {row: dict(zip(columns, entries, strict=True)) for row, entries in rows.items()}
    if isinstance(values, Mapping):
        values, names = _order(values, names, argument)
    array = read_numbers(values, argument)
    shapes = "(tasks, tasks)" + (" or (steps, tasks, tasks)" if stack else "")
    if array.ndim not in ((2, 3) if stack else (2,)) or array.shape[-1] != array.shape[-2]:
        raise ValueError(f"{argument} has shape {array.shape}; expected {shapes}.")
    names = names if names is not None else tuple(map(str, range(array.shape[-1])))
    if len(names) != array.shape[-1]:
        raise ValueError(
            f"{argument} has {array.shape[-1]} rows, but there are {len(names)} tasks: "
            f"{list(names)}; expected one row and one column per task."
        )
    return array, names


def _order(
    rows: Mapping[Any, Any], names: tuple[str, ...] | None, argument: str
) -> tuple[list[list[Any]], tuple[str, ...]]:
    """Returns the entries of a dict of rows in the order of the names."""
    by_name = dict(zip(read_names(rows), rows.values(), strict=True))
    names = names if names is not None else tuple(by_name)
    entries = {}
    for row, values in {"": rows, **by_name}.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"{argument}[{row!r}] is {values!r}; expected a dict by task.")
        entries[row] = dict(zip(read_names(values), values.values(), strict=True))
        if set(entries[row]) != set(names):
            where = f"{argument}[{row!r}]" if row else argument
            raise ValueError(
                f"{where} has the tasks {sorted(entries[row])}; expected {sorted(names)}."
            )
    return [[entries[row][column] for column in names] for row in names], names
