"""Points with one value per objective, by name where the user gave names."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers


@dataclasses.dataclass(frozen=True)
class Points:
    """Holds n points with M objectives.

    Args:
        values: The points, `[n, M]`, in the user's units.
        names: The names of the points; their positions if they have none.
        objectives: The names of the objectives; their positions if they have none.
        signs: `[M]`: 1 for an objective that is maximized, -1 for one that is minimized.
    """

    values: FloatArray
    names: tuple[str, ...]
    objectives: tuple[str, ...]
    signs: FloatArray

    @property
    def gains(self) -> FloatArray:
        """The points with all objectives to be maximized, `[n, M]`."""
        return self.values * self.signs

    @property
    def is_complete(self) -> Any:
        """Which points have a finite value for every objective, `[n]`."""
        return np.isfinite(self.values).all(axis=1)


def read_points(points: Any, maximize: bool | Sequence[bool] | Mapping[str, bool]) -> Points:
    """Reads an array, a list of rows, a list or dict of dicts by objective, or a data frame.

    Raises:
        TypeError: If a value is no number.
        ValueError: If points differ in their objectives, or there is no objective.
    """
    names, objectives, rows = _split(points)
    values = read_numbers(rows, "points")
    if values.size == 0 and values.ndim < 2:
        values = values.reshape(0, len(objectives or ()))
    if values.ndim != 2:
        raise ValueError(
            f"points has shape {values.shape}; expected (points, objectives): one row per point."
        )
    if not values.shape[1] and len(values):
        raise ValueError("points has no objective; expected at least one value per point.")
    names = names if names is not None else tuple(map(str, range(len(values))))
    objectives = objectives if objectives is not None else tuple(map(str, range(values.shape[1])))
    directions = [bool(value) for value in choose(maximize, objectives, "maximize")]
    return Points(values, names, objectives, np.where(directions, 1.0, -1.0))


def _split(points: Any) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None, Any]:
    """Returns the names of points, the names of objectives, and the rows."""
    if hasattr(points, "columns") and hasattr(points, "index"):  # a data frame
        return _texts(points.index), _texts(points.columns), points.to_numpy()
    names = None
    if isinstance(points, Mapping):
        names, points = _texts(points), list(points.values())
    if not isinstance(points, Sequence) or not points or not isinstance(points[0], Mapping):
        return names, None, points
    objectives = list(points[0])
    for position, point in enumerate(points):
        if not isinstance(point, Mapping) or set(point) != set(objectives):
            name = names[position] if names is not None else position
            received = sorted(map(str, point)) if isinstance(point, Mapping) else point
            raise ValueError(
                f"point {name!r} has the objectives {received}; expected those of the first "
                f"point, {sorted(map(str, objectives))}. Pass NaN for a missing value."
            )
    return names, _texts(objectives), [[point[key] for key in objectives] for point in points]


def _texts(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in names)
