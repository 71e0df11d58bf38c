"""The points that no other point dominates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inputs._points import read_points
from keras_mtl.analysis._printing._tables import format_number, format_table


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """Holds the points of a front, in the order in which they were passed.

    `print` shows them as a table.

    Args:
        indices: The positions of the points among all points, `[f]`.
        points: Their values, `[f, M]`, in the user's units.
        names: Their names, f of them.
        objectives: The names of the M objectives.
        failed: The names of points that were left out, since a value is missing or infinite.

    Example:
        >>> front = pareto_front({"equal": [0.01, 0.02], "searched": [0.03, -0.01]})
        >>> front.names
        ('equal', 'searched')
    """

    indices: npt.NDArray[np.int64]
    points: FloatArray
    names: tuple[str, ...]
    objectives: tuple[str, ...]
    failed: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [
            [name, *map(format_number, values)]
            for name, values in zip(self.names, self.points.tolist(), strict=True)
        ]
        return format_table(["point", *self.objectives], rows)


def pareto_front(
    points: Any, *, maximize: bool | Sequence[bool] | Mapping[str, bool] = True
) -> ParetoFront:
    """Finds the points that no other point dominates.

    Point a dominates point b if a is worse in no objective and better in at least one. Of points
    that are equal in all objectives, the first one counts. A point with a missing or infinite
    value is a failed trial: it is not on the front, and dominates no point.

    Choose it to compare settings (task weights, balancers, networks) when no single number says
    which tasks matter more. Take objectives without units, such as the gain of each task over its
    single-task network, and metrics of one epoch of one network: the best epochs of different
    tasks together are a point that no network reaches. Do not choose it for more than four
    objectives: nearly all points are then on the front. Use the mean and the smallest gain instead.

    Args:
        points: The values, `[n, M]`: one row for each of n points, one column for each of M
            objectives. An array, a list of rows, a dict of rows by name, rows that are dicts by
            objective, or a data frame.
        maximize: Whether larger values are better: for all objectives alike, or for each of them
            as a sequence or as a dict by objective.

    Returns:
        A `ParetoFront`. It is empty if there are no points or all of them failed.

    Raises:
        TypeError: If a value is no number.
        ValueError: If the points are no `[n, M]` array, or names do not fit.

    Example:
        >>> gains = {"equal": [0.01, 0.02], "searched": [0.03, 0.02], "PCGrad": [0.0, 0.04]}
        >>> print(pareto_front(gains))
        point        0     1
        searched  0.03  0.02
        PCGrad       0  0.04
        >>> losses = [[1, 4], [2, 2], [4, 1], [3, 3]]
        >>> pareto_front(losses, maximize=False).indices
        array([0, 1, 2])
    """
    data = read_points(points, maximize)
    complete = np.flatnonzero(data.is_complete)
    indices = complete[non_dominated(data.gains[complete])]
    return ParetoFront(
        indices.astype(np.int64),
        data.values[indices],
        tuple(data.names[index] for index in indices),
        data.objectives,
        tuple(data.names[index] for index in np.flatnonzero(~data.is_complete)),
    )


def non_dominated(gains: FloatArray) -> npt.NDArray[np.intp]:
    """Returns the positions of the points on the front, ascending; all objectives are maximized."""
    # A point that dominates another one comes before it in lexicographic order, largest first, so
    # each point has to be compared only with the front of the points before it. The sort is
    # stable: of equal points, the first one stays.
    order = np.lexsort(-gains.T[::-1]) if gains.size else np.arange(0)
    if gains.shape[1] == 2:
        second = gains[order, 1]
        best_before = np.maximum.accumulate(np.append(-np.inf, second))[:-1]
        return np.sort(order[second > best_before])
    front = np.empty_like(gains)
    kept: list[int] = []
    for index in order:
        if not (front[: len(kept)] >= gains[index]).all(axis=1).any():
            front[len(kept)] = gains[index]
            kept.append(int(index))
    return np.array(sorted(kept), np.intp)
