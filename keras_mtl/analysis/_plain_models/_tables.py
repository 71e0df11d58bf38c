"""Inputs as users bring them, cut into columns of numbers and columns of text."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray, is_missing, read_numbers

MISSING_TEXT = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Holds n rows.

    Args:
        numbers: `[n, p]`, NaN where a value is missing.
        texts: `[n, q]` of `str`, empty where a value is missing.
        number_names: The names of the p columns.
        text_names: The names of the q columns.
    """

    numbers: FloatArray
    texts: npt.NDArray[Any]
    number_names: tuple[str, ...]
    text_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)


def read_table(inputs: Any, part: str, reference: Table | None = None) -> Table:
    """Reads an array, a frame, or a dict of columns.

    Args:
        inputs: `[n, d]` numbers, a data frame, or a dict of columns `[n]` or `[n, d]`.
        part: "train" or "test", for errors.
        reference: The table of the training rows, whose columns and order of columns are expected.

    Raises:
        TypeError: If a column holds neither numbers nor text.
        ValueError: If columns differ in their number of rows or from those of `reference`, a number
            is infinite, or there is no row.
    """
    numbers, texts = {}, {}
    columns = _columns(inputs)
    for name, values in columns.items():
        array = np.asarray(values)
        where = f"the inputs of {part}, column {name!r},"
        # A column without any value in the test rows is of the kind that it was before.
        known = reference is not None and name in reference.text_names
        if _is_text(array) or (known and all(map(is_missing, array.ravel().tolist()))):
            texts[name] = np.array([_read_text(entry, where) for entry in array.ravel()], object)
            continue
        read = read_numbers(values, where)
        if read.ndim not in (1, 2):
            raise ValueError(
                f"{where} have shape {read.shape}; expected [n] or [n, d]. Plain models read "
                "tables: flatten images and sequences, or pass features of them."
            )
        if np.isinf(read).any():
            raise ValueError(f"{where} hold infinite values; pass NaN for a missing one.")
        of_name = read[:, None] if read.ndim == 1 else read
        several = of_name.shape[1] > 1
        for position in range(of_name.shape[1]):
            numbers[f"{name}[{position}]" if several else name] = of_name[:, position]
    _check_rows({**numbers, **texts}, part)
    if reference is not None:
        _check_columns(reference, [*numbers], [*texts])
        numbers = {name: numbers[name] for name in reference.number_names}
        texts = {name: texts[name] for name in reference.text_names}
    num_rows = len(next(iter([*numbers.values(), *texts.values()])))
    return Table(
        np.stack([*numbers.values()], axis=1) if numbers else np.empty((num_rows, 0)),
        np.stack([*texts.values()], axis=1) if texts else np.empty((num_rows, 0), object),
        tuple(numbers),
        tuple(texts),
    )


def _columns(inputs: Any) -> dict[str, Any]:
    if hasattr(inputs, "columns") and hasattr(inputs, "items"):  # a data frame
        return {str(name): values for name, values in inputs.items()}
    if isinstance(inputs, Mapping):
        return {str(name): values for name, values in inputs.items()}
    array = np.asarray(inputs)
    if array.ndim == 2 and array.dtype.kind in "OSU":
        return {str(position): array[:, position] for position in range(array.shape[1])}
    return {"x": inputs}


def _is_text(array: npt.NDArray[Any]) -> bool:
    if array.dtype.kind in "SU":
        return True
    return array.dtype.kind == "O" and any(isinstance(entry, str | bytes) for entry in array.flat)


def _read_text(entry: Any, where: str) -> str:
    if isinstance(entry, bytes):
        return entry.decode(errors="replace")
    if isinstance(entry, str):
        return str(entry)
    if is_missing(entry):
        return MISSING_TEXT
    raise TypeError(
        f"{where} hold text beside {entry!r} of type {type(entry).__name__}; expected text alone, "
        "with None for missing values."
    )


def _check_rows(columns: Mapping[str, Any], part: str) -> None:
    rows = {name: len(values) for name, values in columns.items()}
    if not rows or not max(rows.values()):
        what = "no row" if rows else "no column"
        raise ValueError(f"the inputs of {part} have {what}; expected at least one.")
    if len({*rows.values()}) > 1:
        raise ValueError(
            f"the inputs of {part} have these numbers of rows: {rows}; expected the same rows in "
            "all columns."
        )


def _check_columns(reference: Table, numbers: Sequence[str], texts: Sequence[str]) -> None:
    for kind, known, names in (
        ("numbers", reference.number_names, numbers),
        ("text", reference.text_names, texts),
    ):
        if set(known) != set(names):
            raise ValueError(
                f"train has the columns {list(known)} of {kind} and test {list(names)}; expected "
                "the same ones."
            )
