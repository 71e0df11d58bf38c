"""Columns of a table in the dtypes in which a model takes them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_mtl.data._tables._category_codes import UNKNOWN
from keras_mtl.data._tables._frames import Columns


def match_columns(columns: Columns, model: keras.Model) -> Columns:
    """Returns the columns that a model takes, in the dtypes of its inputs.

    A column without any value has no dtype of its own: it becomes one of empty strings or of NaN,
    as the model needs it.

    Args:
        columns: By name, as `read_table` returns them. More than the model takes are left out.
        model: A `tabular_encoder`, or a model with one before it.

    Raises:
        TypeError: If the model does not take a dict of columns, or a column holds strings where
            the model takes numbers, or the other way round. The message names the column.
        ValueError: If a column is not there.
    """
    inputs = getattr(model, "input", None)
    if not isinstance(inputs, Mapping):
        raise TypeError(
            "expected a model of a dict of columns, such as a tabular_encoder or the result of "
            f"with_preprocessing; {model.name!r} takes another structure."
        )
    absent = [name for name in inputs if name not in columns]
    if absent:
        raise ValueError(
            f"the table has no column {', '.join(map(repr, absent))}, which {model.name!r} takes; "
            "add it, with NaN or None where it is not known."
        )
    return {name: _match(name, columns[name], tensor.dtype) for name, tensor in inputs.items()}


def _match(name: str, column: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Returns a column in the dtype of an input."""
    text = column.dtype.kind == "O"
    if text != (dtype == "string"):
        empty = (column == b"").all() if text else np.isnan(column.astype(np.float64)).all()
        if not empty:
            kinds = ("strings", "numbers") if text else ("numbers", "strings")
            raise TypeError(
                f"column {name!r} holds {kinds[0]}; the training data held {kinds[1]} there."
            )
        column = np.full(len(column), np.nan if text else b"", None if text else object)
    if dtype == "string":
        return column
    if dtype == "int64" and column.dtype.kind == "f":
        # Codes without gaps in the training data: a gap is as unknown as a new code.
        whole = column == np.round(column)
        return np.where(whole, np.where(whole, column, 0).astype(np.int64), UNKNOWN)
    return column.astype(dtype)
