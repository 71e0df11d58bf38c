"""Resamples of rows, or of blocks of rows, as a number of times that each row comes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray


def read_blocks(blocks: Any, num_rows: int) -> npt.NDArray[np.intp] | None:
    """Returns the number of the block of each row, `[rows]`, or `None` if there are no blocks.

    Raises:
        ValueError: If there is not one block per row.
    """
    if blocks is None:
        return None
    array = np.asarray(blocks)
    if array.shape != (num_rows,):
        raise ValueError(
            f"blocks has shape {array.shape}; expected ({num_rows},): one name or number per row."
        )
    present = array.astype(str) if array.dtype.kind == "O" else array
    return np.asarray(np.unique(present, return_inverse=True)[1], np.intp)


def draw_counts(size: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yields how often each of `size` items is drawn, with replacement, in each resample."""
    draws = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(draws.integers(0, size, size), minlength=size).astype(np.float64)


def draw_row_counts(
    num_rows: int, blocks: npt.NDArray[np.intp] | None, resamples: int, seed: int
) -> Iterator[FloatArray]:
    """Yields how often each row comes, `[rows]`: rows of a block come together."""
    if blocks is None:
        yield from draw_counts(num_rows, resamples, seed)
        return
    for counts in draw_counts(int(blocks.max()) + 1, resamples, seed):
        yield counts[blocks]
