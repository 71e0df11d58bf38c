"""Means, variances and vocabularies of the columns of a table, in one pass over the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor

Moments = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def compress(values: Tensor) -> Tensor:
    """Returns `sign(x) * log(1 + |x|)`, which shortens both tails, and keeps 0 and the sign."""
    return ops.sign(values) * ops.log1p(ops.abs(values))


def read_statistics(
    dataset: tf.data.Dataset, numbers: Sequence[str], texts: Sequence[str], log: Sequence[str]
) -> tuple[Moments, dict[str, list[str]]]:
    """Computes moments and vocabularies, and reads the dataset once for both.

    Args:
        dataset: Batches of a dict of table columns, or of `(table_columns, ...)`.
        numbers: Names of the columns of numbers.
        texts: Names of the columns of strings.
        log: Columns of numbers that are compressed first.

    Returns:
        The mean and the variance of each column of numbers, and the sorted vocabulary of each
        column of strings.

    Raises:
        ValueError: If the dataset has no row or is infinite, or a number is not finite.
    """
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    count = 0
    shift: Any = 0.0  # the first row: sums of squares of differences from it stay exact
    sums = np.zeros((2, len(numbers)))
    words: dict[str, set[bytes]] = {name: set() for name in texts}
    for batch in dataset:
        table_columns = batch[0] if isinstance(batch, tuple) else batch
        for name in texts:
            words[name].update(table_columns[name].numpy().tolist())
        rows = _rows(table_columns, numbers, log)
        if not count and len(rows):
            shift = rows[0]
        count += len(table_columns[(*numbers, *texts)[0]])
        sums += (rows - shift).sum(0), ((rows - shift) ** 2).sum(0)
    if not count:
        raise ValueError("the dataset is empty; expected at least one row.")
    means, squares = sums / count
    moments = means + shift, squares - means**2  # Var[x] = E[(x - s)^2] - E[x - s]^2
    return moments, {name: sorted(word.decode() for word in seen) for name, seen in words.items()}


def _rows(
    table_columns: dict[str, Any], numbers: Sequence[str], log: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Returns the columns of numbers of a batch, side by side, `(batch, numbers)`."""
    values = []
    for name in numbers:
        column = table_columns[name].numpy().astype(np.float64)
        if not np.isfinite(column).all():
            raise ValueError(
                f"column {name!r} holds NaN or infinity; fill missing numbers first, with "
                "dataset.map."
            )
        values.append(np.asarray(compress(column)) if name in log else column)
    return np.stack(values, axis=-1) if values else np.zeros((0, 0))
