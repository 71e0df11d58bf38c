"""Which labels are missing together."""

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relations._columns import Columns


@dataclasses.dataclass(frozen=True)
class MissingPattern:
    """Holds the rows that have labels of the same tasks.

    Args:
        labeled: The tasks with a label. A task with several columns counts if one of them is there.
        rows: The number of these rows.
        share: Their share of all rows.
    """

    labeled: tuple[str, ...]
    rows: int
    share: float


def unique_rows(
    matrix: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Returns the different rows, sorted, and the number of each row among them.

    NumPy's `unique` takes a row for a record with one field per entry, which is very slow for many.
    """
    keys = [row.tobytes() for row in np.packbits(matrix, axis=1)]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    inverse = np.array([numbers[key] for key in keys], np.intp)
    places = np.zeros(len(numbers), np.intp)
    places[inverse] = np.arange(len(keys))
    return matrix[places], inverse


def count_patterns(columns: Columns) -> tuple[MissingPattern, ...]:
    """Returns all patterns, the most frequent first."""
    present: FloatArray = np.zeros((len(columns.values), len(columns.tasks)))
    for index, owner in enumerate(columns.owners):
        present[:, owner] += ~np.isnan(columns.values[:, index])
    patterns, numbers = unique_rows(present > 0)
    counts = np.bincount(numbers)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        MissingPattern(
            tuple(columns.tasks[task] for task in np.flatnonzero(patterns[index])),
            int(counts[index]),
            float(counts[index] / len(present)),
        )
        for index in order
    )
