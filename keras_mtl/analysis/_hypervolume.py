"""The volume that a front dominates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._inputs._points import Points, read_points
from keras_mtl.analysis._pareto_front import non_dominated

Bound = float | Sequence[float] | Mapping[str, float]


def hypervolume(
    points: Any,
    *,
    reference: Bound = -0.1,
    maximize: bool | Sequence[bool] | Mapping[str, bool] = True,
    utopia: Bound | None = None,
) -> float:
    """Computes the volume that points dominate, bounded by a reference point. It is exact.

    The volume is that of the union of the boxes between the reference r and each point p:

        V = volume of { z : r <= z <= p in every objective, for some point p }

    for objectives that are maximized; for minimized ones the signs are turned. A point that is not
    better than r in every objective adds nothing, and neither does a failed one, of which a value
    is missing or infinite.

    Choose it to say in one number how good a whole front is, for example after each trial of a
    search. It never falls when points are added. Declare the reference before the search and take
    the same one for all contenders: a reference that is derived from the results changes the
    order of the contenders. Two objectives with different units weigh differently in V: take gains.
    Not for more than about four objectives: the time grows as n^(M - 1).

    Args:
        points: The values, `[n, M]`, as for `pareto_front`. Dominated points may be among them.
        reference: The point r that bounds the volume: one number for all objectives, a sequence of
            M, or a dict by objective. The default fits gains that are fractions of the baseline:
            a loss of 10 % in each task.
        maximize: Whether larger values are better, as for `pareto_front`.
        utopia: The best values that are thinkable, as `reference`. If it is passed, the result is
            the share of the box between `reference` and `utopia`, from 0 to 1.

    Returns:
        The volume, in the product of the objectives' units; or the share, which has no unit.

    Raises:
        TypeError: If a value is no number.
        ValueError: If the reference is not finite, or `utopia` is not better than the reference in
            every objective, or a point is better than `utopia`.

    Example:
        >>> hypervolume([[1, 4], [2, 2], [4, 1], [3, 3]], reference=5, maximize=False)
        11.0
        >>> hypervolume([[0.02, 0.01], [0.0, 0.03]], utopia=0.1)
        0.38
        >>> hypervolume([[0.5, 0.4]], reference=0, utopia=1)
        0.2
    """
    data = read_points(points, maximize)
    if not len(data.values):
        return 0.0
    low = _read_bound(reference, data, "reference")
    gains = data.gains[data.is_complete]
    gains = gains[(gains > low).all(axis=1)]
    if utopia is None:
        return _volume(gains - low)
    high = _read_bound(utopia, data, "utopia")
    _check_utopia(low, high, gains, data)
    return _volume((gains - low) / (high - low))


def _read_bound(bound: Bound, data: Points, argument: str) -> FloatArray:
    """Returns a bound with all objectives to be maximized, `[M]`."""
    values = read_numbers(choose(bound, data.objectives, argument), argument)
    if not np.isfinite(values).all():
        raise ValueError(f"{argument} is {bound}; expected finite numbers.")
    return values * data.signs


def _check_utopia(low: FloatArray, high: FloatArray, gains: FloatArray, data: Points) -> None:
    for index, objective in enumerate(data.objectives):
        bounds = f"utopia {high[index] * data.signs[index]:g}"
        if high[index] <= low[index]:
            raise ValueError(
                f"objective {objective!r}: {bounds} is not better than the reference "
                f"{low[index] * data.signs[index]:g}. Pass the best value that is thinkable."
            )
        if (gains[:, index] > high[index]).any():
            best = gains[:, index].max() * data.signs[index]
            raise ValueError(
                f"objective {objective!r}: a point has {best:g}, which is better than {bounds}. "
                "Pass the best value that is thinkable, not one from the results."
            )


def _volume(sizes: FloatArray) -> float:
    """Returns the volume of the union of boxes that all begin at 0, from their sizes `[n, M]`."""
    if not sizes.size:
        return 0.0
    if sizes.shape[1] == 1:
        return float(sizes.max())
    sizes = sizes[np.argsort(-sizes[:, -1], kind="stable")]
    # Slices along the last objective: below the size of box i and above that of box i + 1, the
    # union is that of the first i + 1 boxes.
    depths = sizes[:, -1] - np.append(sizes[1:, -1], 0.0)
    if sizes.shape[1] == 2:
        return float(np.sum(depths * np.maximum.accumulate(sizes[:, 0])))
    total = 0.0
    front = sizes[:0, :-1]
    for box, depth in zip(sizes[:, :-1], depths, strict=True):
        front = np.vstack([front, box])
        front = front[non_dominated(front)] if sizes.shape[1] > 3 else front
        if depth > 0:
            total += depth * _volume(front)
    return total
