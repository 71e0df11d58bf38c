"""Unknown, missing and non-finite values of a column, and numbers out of its range."""

from typing import Any

import numpy as np

from keras_mtl.export._beside._interface import InputSpec
from keras_mtl.serving._drifting._read import FloatArray, read_numbers, read_strings
from keras_mtl.serving._drifting._rows import ColumnDrift
from keras_mtl.serving._watching._reference import Reference


def compare_column(name: str, spec: InputSpec, reference: Reference, values: Any) -> ColumnDrift:
    """Returns which values of a column are unusual.

    Args:
        name: The name of the column.
        spec: What outputs.json says of it.
        reference: What the rows of the reference looked like.
        values: The new values.

    Raises:
        ValueError: If there are no values, or they are no strings or numbers as the version takes.
    """
    what = f"column {name!r}"
    if spec.dtype == "string":
        texts = read_strings(values, what)
        _check_rows(len(texts), what)
        missing = sum(text is None for text in texts) / len(texts)
        unknown = None
        if name in reference.strings:
            known = reference.strings[name]
            unknown = sum(text is not None and text not in known for text in texts) / len(texts)
        usual = reference.unknown.get(name)
        return ColumnDrift(name, len(texts), unknown, usual, missing, None, 0.0, None)
    numbers = read_numbers(values, what)
    _check_rows(numbers.size, what)
    absent = np.isnan(numbers)
    filled = absent & _is_filled(spec, numbers)
    return ColumnDrift(
        column=name,
        values=numbers.size,
        unknown=None,
        reference_unknown=None,
        missing=float(filled.mean()),
        reference_missing=reference.missing.get(name),
        nonfinite=float((np.isinf(numbers) | (absent & ~filled)).mean()),
        outside=_find_outside(numbers, reference.ranges.get(name)),
    )


def _find_outside(numbers: FloatArray, usual: tuple[float, float] | None) -> float | None:
    """Returns the share of finite numbers outside of a range; `None` if there is none."""
    if usual is None:
        return None
    low, high = usual
    outside = np.isfinite(numbers) & ((numbers < low) | (numbers > high))
    return float(outside.mean())


def _is_filled(spec: InputSpec, numbers: FloatArray) -> Any:
    """Returns where the network fills missing numbers."""
    if isinstance(spec.filled, tuple):
        places = np.zeros(numbers.shape[-1] if numbers.ndim > 1 else 1, bool)
        places[[place for place in spec.filled if place < len(places)]] = True
        return places
    return bool(spec.filled)


def _check_rows(count: int, what: str) -> None:
    if not count:
        raise ValueError(f"{what} has no values; leave it out.")
