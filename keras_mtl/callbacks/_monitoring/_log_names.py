"""Which numbers of pairs and of tasks are logged, and under which names."""

from collections.abc import Sequence

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray

MAX_LOGGED = 8
"""Up to so many tasks, each task and each pair has a number of its own in the logs."""


def log_tasks(prefix: str, values: FloatArray, tasks: Sequence[str]) -> dict[str, float]:
    """Returns a number per task; of many tasks, their mean and the lowest one."""
    if len(tasks) <= MAX_LOGGED:
        return {f"{prefix}/{task}": float(value) for task, value in zip(tasks, values, strict=True)}
    return _summary(prefix, values)


def log_pairs(
    prefix: str, matrix: FloatArray, tasks: Sequence[str], *, ordered: bool = False
) -> dict[str, float]:
    """Returns a number per pair of tasks, and the mean and the lowest one of all pairs.

    Args:
        prefix: The first part of the names.
        matrix: Numbers, `[K, K]`.
        tasks: The names of the tasks.
        ordered: Whether (a, b) and (b, a) are two pairs.
    """
    pairs = np.argwhere(~np.eye(len(tasks), dtype=bool))
    pairs = pairs if ordered else pairs[pairs[:, 0] < pairs[:, 1]]
    logs = _summary(prefix, matrix[pairs[:, 0], pairs[:, 1]])
    if len(tasks) <= MAX_LOGGED:
        logs |= {f"{prefix}/{tasks[i]}/{tasks[j]}": float(matrix[i, j]) for i, j in pairs}
    return logs


def _summary(prefix: str, values: FloatArray) -> dict[str, float]:
    known = values[~np.isnan(values)]
    lowest, mean = (known.min(), known.mean()) if len(known) else (np.nan, np.nan)
    return {f"{prefix}/mean": float(mean), f"{prefix}/min": float(lowest)}
