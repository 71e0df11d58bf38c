"""Inputs and baselines as users pass them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def read_inputs(inputs: Any) -> Any:
    """Returns inputs as arrays, in their structure.

    Raises:
        ValueError: If there is no row, or inputs differ in their numbers of rows.
    """
    arrays = keras.tree.map_structure(np.asarray, inputs)
    leaves = keras.tree.flatten(arrays)
    sizes = {array.shape[0] if array.ndim else None for array in leaves}
    if len(sizes) != 1 or None in sizes or 0 in sizes:
        raise ValueError(
            f"inputs have the shapes {[array.shape for array in leaves]}; expected at least one "
            "row, and the same rows in all of them: (rows, ...)."
        )
    return arrays


def take_rows(inputs: Any, rows: Any) -> Any:
    """Returns some rows of inputs, in their structure."""
    return keras.tree.map_structure(lambda array: array[rows], inputs)


def read_baselines(baseline: Any, inputs: Any) -> Any:
    """Returns baselines in the structure of the inputs, with the number of baselines first.

    Args:
        baseline: A number for all inputs; or, in the structure of the inputs, for each a number, a
            text, a row without the axis of rows, or several rows.
        inputs: The inputs, as arrays.

    Raises:
        ValueError: If a baseline does not fit its input.
    """
    if isinstance(inputs, Mapping):
        if np.ndim(baseline) == 0 and not isinstance(baseline, Mapping):
            baseline = dict.fromkeys(inputs, baseline)
        if not isinstance(baseline, Mapping) or set(baseline) != set(inputs):
            received = sorted(baseline) if isinstance(baseline, Mapping) else type(baseline)
            raise ValueError(
                f"baseline is {received}; expected a dict with the names of the inputs, "
                f"{sorted(inputs)}, or one number for all of them."
            )
        rows = {name: _read(baseline[name], inputs[name], f"{name!r}") for name in inputs}
    elif isinstance(inputs, np.ndarray):
        rows = {"": _read(baseline, inputs, "the input")}
    else:
        raise ValueError(
            f"inputs are a {type(inputs).__name__}; expected an array, or a dict by input name."
        )
    count = max(len(array) for array in rows.values())
    spread = {name: _repeat(array, count, name) for name, array in rows.items()}
    return spread if isinstance(inputs, Mapping) else spread[""]


def _read(value: Any, array: Array, name: str) -> Array:
    """Returns baselines of one input, `(baselines, ...)`."""
    row = np.asarray(value)
    if row.ndim == 0:
        return (
            np.full_like(array[:1], row.item())
            if array.dtype.kind in "biuf"
            else np.full(
                array[:1].shape, row.item(), dtype=object if array.dtype == object else None
            )
        )
    if row.ndim == array.ndim - 1:
        row = row[None]
    if row.ndim != array.ndim or row.shape[1:] != array.shape[1:] or not len(row):
        raise ValueError(
            f"the baseline of {name} has shape {np.shape(value)}; expected a number, one row "
            f"{array.shape[1:]}, or several, {('n', *array.shape[1:])}."
        )
    return row.astype(array.dtype) if array.dtype.kind in "biuf" else row


def _repeat(array: Array, count: int, name: str) -> Array:
    if len(array) not in (1, count):
        raise ValueError(
            f"the baseline of {name!r} has {len(array)} rows, and that of another input {count}; "
            "expected as many, or one."
        )
    return np.broadcast_to(array, (count, *array.shape[1:]))
