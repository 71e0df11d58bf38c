"""Grids of panels, legends, and forests of intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis.figures._drawing._style import GRAY, label_of, look_of, shorten

WIDTH = 7.0
"""Of all figures, inches: on a page the letters keep the size of its text."""


def panels(count: int, *, columns: int = 3, height: float = 2.1) -> tuple[Figure, list[Any]]:
    """Returns a figure, and so many axes in rows of at most `columns`."""
    columns = max(1, min(columns, count))
    rows = math.ceil(count / columns)
    height = max(height, 3.2 / rows) if columns < 3 else height
    figure = Figure(figsize=(WIDTH, height * rows + 0.5), layout=None)
    # More room than usual beside the labels of an axis, inches.
    figure.set_layout_engine("constrained", w_pad=0.09)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def count_whole(axes: Any) -> None:
    """Puts marks of the horizontal axis at whole numbers alone."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def add_legend(figure: Any, names: Sequence[str], *, marks: bool = False) -> None:
    """Adds a legend of contenders above the panels; a single one needs none."""
    if len(names) < 2:
        return
    handles = []
    for index, name in enumerate(names):
        look = look_of(index)
        if marks:
            look["linestyle"] = "-"
        else:
            look["marker"] = ""
        handles.append(Line2D([], [], label=label_of(shorten(name, 36)), **look))
    figure.legend(handles=handles, loc="outside upper left", ncols=min(3, len(names)))


def draw_forest(axes: Any, rows: Sequence[str], points: Mapping[str, FloatArray]) -> None:
    """Draws one line per row with the points and intervals of all contenders, the first row on top.

    Args:
        axes: The axes.
        rows: The names of the rows.
        points: By contender, value and ends of its interval, `[rows, 3]`. NaN is missing. Ends far
            beyond all points are cut, and an arrow stands there.
    """
    everything = np.stack(list(points.values()))
    low, high = _limits(everything)
    step = 0.8 / len(points)
    for index, values in enumerate(points.values()):
        look = look_of(index)
        heights = np.arange(len(rows)) + (index - (len(points) - 1) / 2) * step
        axes.hlines(heights, values[:, 1], values[:, 2], colors=look["color"], linewidth=1.2)
        axes.plot(values[:, 0], heights, look["marker"], color=look["color"])
        for end, marker, limit in ((1, "<", low), (2, ">", high)):
            cut = values[:, end] < low if end == 1 else values[:, end] > high
            axes.plot(np.full(cut.sum(), limit), heights[cut], marker, color=look["color"], ms=4)
    axes.axvline(0.0, color=GRAY, linewidth=1.0)
    pad = 0.03 * (high - low)
    axes.set(xlim=(low - pad, high + pad), ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), [shorten(row) for row in rows])
    axes.grid(visible=False, axis="y")


def _limits(values: FloatArray) -> tuple[float, float]:
    """Returns ends of the axis that show all points, zero, and all intervals that are not huge."""
    points = values[..., 0][~np.isnan(values[..., 0])]
    widths = (values[..., 2] - values[..., 1])[~np.isnan(values[..., 2])]
    if not len(points):
        return -1.0, 1.0
    reach = 3.0 * max(np.median(widths) if len(widths) else 0.0, np.ptp(points), 1e-12)
    low = max(np.nanmin([np.nanmin(values), 0.0]), points.min() - reach)
    high = min(np.nanmax([np.nanmax(values), 0.0]), points.max() + reach)
    return min(float(low), 0.0), max(float(high), 0.0) if high > low else low + 1.0
