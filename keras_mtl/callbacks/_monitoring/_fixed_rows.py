"""Rows that stay the same in all epochs."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras
import numpy as np

T = TypeVar("T")


def read_fixed(read: Callable[[], Iterable[T]]) -> list[T]:
    """Reads rows, after a look whether they stay the same.

    Args:
        read: Reads them anew: batches, or pairs of batches, in tuples and dicts.

    Raises:
        ValueError: If they change from one reading to the next.
    """
    rows, again = (list(read()) for _ in range(2))
    flat, flat_again = (
        [np.asarray(leaf) for leaf in keras.tree.flatten(entries)] for entries in (rows, again)
    )
    if len(flat) != len(flat_again) or not all(map(_equal, flat, flat_again)):
        raise ValueError(
            "rows are others when they are read again: they seem to be shuffled. Monitors compare "
            "epochs on the same rows, and to read a shuffled dataset would change the order in "
            "which training sees it. Take rows before you shuffle: dataset.take(n).batch(m), then "
            "dataset.shuffle(...)."
        )
    return rows


def _equal(one: Any, two: Any) -> bool:
    return one.shape == two.shape and bool(np.all((one == two) | ((one != one) & (two != two))))
