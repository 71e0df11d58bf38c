"""Rows on which an artifact is compared with its SavedModel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.export._beside._interface import read_interface
from keras_mtl.export._beside._recorded import FILE as RECORDED
from keras_mtl.export._beside._recorded import read_recorded
from keras_mtl.export._formats._differences import Array
from keras_mtl.export._formats._lookup_tables import table_keys
from keras_mtl.export._formats._served import Served, operations

_UNKNOWN = "a word of no vocabulary"
_LENGTH = 8  # of axes of unknown length, such as time
_MOST_ENTRIES = 2_000_000  # of all rows together


def read_rows(served: Served, rows: Mapping[str, Any]) -> dict[str, Array]:
    """Returns rows of the user as arrays of the dtypes of the inputs.

    Raises:
        ValueError: If a column is missing, or is not one of the SavedModel's inputs.
    """
    missing, unknown = sorted(set(served.specs) - set(rows)), sorted(set(rows) - set(served.specs))
    if missing or unknown:
        raise ValueError(
            f"rows must hold exactly the inputs {sorted(served.specs)}; missing are {missing}, and "
            f"unknown {unknown}."
        )
    return {
        name: np.asarray(
            rows[name], object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        )
        for name, spec in served.specs.items()
    }


def recorded_rows(served: Served) -> dict[str, Array] | None:
    """Returns the rows that were recorded with a version, or `None` if there are none."""
    if not (served.folder / RECORDED).is_file():
        return None
    return read_recorded(served.folder).arrays(read_interface(served.folder).inputs)


def answered_rows(served: Served) -> dict[str, Array]:
    """Returns drawn rows that the SavedModel answers.

    Text and codes are drawn from all lookup tables together, and from what is in none; numbers
    from a normal distribution, and in half of the rows from the boundaries of bins, too; bytes of
    images from 0 to 255. Where the SavedModel does not answer such codes (an embedding has fewer
    rows), all whole numbers are 0 and 1.

    Raises:
        ValueError: If the SavedModel answers none of them.
    """
    words, all_codes = table_keys(served)
    boundaries = _boundaries(served)
    errors = []
    bytes_too = [*all_codes, *range(256)] if _has_bytes(served) else all_codes
    for codes in (bytes_too, all_codes, []):
        rows = _draw(served, words, codes, boundaries)
        try:
            served.answer(rows)
            return rows
        except (tf.errors.OpError, ValueError) as error:
            errors.append(str(error).splitlines()[0])
    raise ValueError(
        f"the SavedModel in {str(served.folder)!r} answers no rows that are drawn at random "
        f"({errors[-1]}); pass some real ones as rows={{name: array}}."
    )


def _has_bytes(served: Served) -> bool:
    return any(spec.dtype == tf.uint8 for spec in served.specs.values())


def with_gaps(rows: Mapping[str, Array]) -> dict[str, Array]:
    """Returns rows of which each number is NaN in the second row, and infinite in the last."""
    gapped = {}
    for name, values in rows.items():
        gapped[name] = values.copy()
        if values.dtype.kind == "f" and len(values) > 2:
            gapped[name][1], gapped[name][-1] = np.nan, np.inf
    return gapped


def with_rounding(rows: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """Returns rows whose numbers are changed in the sixth digit, some up and some down."""
    random = np.random.default_rng(seed)
    return {
        name: (values * (1 + 1e-6 * random.choice([-1, 1], values.shape))).astype(values.dtype)
        if values.dtype.kind == "f"
        else values
        for name, values in rows.items()
    }


def _boundaries(served: Served) -> list[float]:
    """Returns the boundaries of all bins."""
    return [
        boundary
        for node in operations(served)
        if node.op == "Bucketize"
        for boundary in node.attr["boundaries"].list.f
    ]


def _draw(
    served: Served, words: list[str], codes: list[int], boundaries: list[float]
) -> dict[str, Array]:
    """Draws rows of all inputs; always the same."""
    random = np.random.default_rng(0)
    shapes = {
        name: tuple(length or _LENGTH for length in spec.shape[1:])
        for name, spec in served.specs.items()
    }
    # Each word of 40 vocabularies is to stand in its own column in some row, but 256 large images
    # are too many.
    entries = sum(int(np.prod(shape)) for shape in shapes.values())
    count = min(256, max(16, _MOST_ENTRIES // entries)) if words or boundaries or codes else 16
    rows: dict[str, Array] = {}
    for name, spec in sorted(served.specs.items()):
        shape = (count, *shapes[name])
        dtype = spec.dtype
        if dtype == tf.string:
            rows[name] = random.choice(np.array([*words, "", _UNKNOWN], object), shape)
        elif dtype.is_floating:
            numbers = random.normal(size=shape)
            if boundaries:
                bounds = random.choice(boundaries, shape)
                numbers[count // 2 :] = np.where(numbers > 0, bounds, numbers)[count // 2 :]
            rows[name] = numbers.astype(dtype.as_numpy_dtype)
        else:
            rows[name] = random.choice([0, 1, *codes], shape).astype(dtype.as_numpy_dtype)
    return rows
