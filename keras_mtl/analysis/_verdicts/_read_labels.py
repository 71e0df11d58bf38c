"""Labels of a test set by task, and blocks of its rows."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class TaskLabels:
    """Holds the labels of a task.

    Args:
        values: `[n]`, or `[n, C]` for C columns; NaN where a label is missing.
        columns: The names of the columns, or `None`.
    """

    values: FloatArray
    columns: tuple[str, ...] | None


def read_labels(labels: Any) -> dict[str, TaskLabels]:
    """Reads labels by task.

    Raises:
        TypeError: If the labels are no dict or frame, or a label is no number.
        ValueError: If tasks differ in their number of rows, or a label is infinite.
    """
    if is_frame(labels):
        labels = {str(name): labels[name] for name in labels.columns}
    if not isinstance(labels, Mapping) or not labels:
        raise TypeError(
            f"labels is a {type(labels).__name__}; expected a dict of labels by task, such as "
            "{'income': labels}, with at least one task."
        )
    tasks = {str(task): _read_task(str(task), values) for task, values in labels.items()}
    lengths = {task: len(read.values) for task, read in tasks.items()}
    if len({*lengths.values()}) > 1:
        raise ValueError(
            f"labels have these numbers of rows: {lengths}. Expected the same rows for all tasks, "
            "with NaN where a task has no label."
        )
    return tasks


def is_frame(values: Any) -> bool:
    """Returns whether the values are a data frame."""
    return hasattr(values, "columns") and hasattr(values, "index")


def _read_task(task: str, values: Any) -> TaskLabels:
    where = f"labels of task {task!r}"
    columns = tuple(map(str, values.columns)) if is_frame(values) else None
    try:
        numbers = read_numbers(values, where)
    except TypeError as error:
        raise TypeError(
            f"{error} Classes are passed by their numbers, in the order of the network's output."
        ) from error
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers, columns = numbers[:, 0], None
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise ValueError(
            f"{where} have shape {numbers.shape}; expected [n], or [n, C] for C columns, with at "
            "least one row. Positions of sequences and images become rows by a reshape, with the "
            "number of the sequence or image as `blocks`."
        )
    if np.isinf(numbers).any():
        raise ValueError(f"{where} hold infinite values; pass NaN for a missing label.")
    if columns is None and numbers.ndim == 2:
        columns = tuple(map(str, range(numbers.shape[1])))
    return TaskLabels(numbers, columns)


def read_blocks(blocks: Any, num_rows: int) -> IntArray | None:
    """Returns the number of the block of each row, `[n]`, or `None` where no blocks are passed.

    Raises:
        ValueError: If there is not one block per row, a block is missing, or there is one alone.
    """
    if blocks is None:
        return None
    values = np.asarray(blocks)
    if values.shape != (num_rows,):
        raise ValueError(
            f"blocks has shape {values.shape}; expected [{num_rows}]: one value per row, equal "
            "for rows that belong together."
        )
    missing = np.array([value is None or value != value for value in values.tolist()])
    if missing.any():
        raise ValueError(
            f"blocks is missing in {int(missing.sum())} rows; give these rows a block of their own."
        )
    _, numbers = np.unique(
        values.astype(str) if values.dtype == object else values, return_inverse=True
    )
    if numbers.max() == 0:
        raise ValueError("blocks has one value alone; expected at least 2 blocks to draw from.")
    return numbers.astype(np.int64)
