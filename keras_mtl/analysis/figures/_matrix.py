"""A matrix of tasks by tasks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis.figures._drawing._axes import WIDTH
from keras_mtl.analysis.figures._drawing._heat import MOST_NAMES, draw_heat
from keras_mtl.analysis.figures._drawing._order import order_by_linkage
from keras_mtl.analysis.figures._drawing._style import styled

_MOST_CELLS = 200  # rows and columns


@styled
def matrix(
    values: Any,
    tasks: Iterable[Any] | None = None,
    *,
    measure: str = "",
    directed: bool = False,
) -> Figure:
    """Draws a value for each pair of tasks: relations, cosines, affinities, transfer.

    Tasks are ordered by average linkage, so that similar ones are side by side. Pairs without a
    value are hatched. Values of both signs have two colors, with white at 0. The diagonal does not
    count for the scale of the colors.

    Args:
        values: `[K, K]`: an array, a data frame, or a dict of dicts by task.
        tasks: The names of the K tasks, or the tasks. By default, those of the frame or dict, or
            their positions.
        measure: The name of the values, as a title.
        directed: Whether rows and columns differ: row s, column t is what task s does for task t.

    Returns:
        A `matplotlib.figure.Figure`. Up to 14 tasks it shows the numbers, up to 60 the
        names, and above 200 one cell for the mean of several pairs.

    Raises:
        TypeError: If a value is no number.
        ValueError: If the matrix is not square, or names do not fit.

    Example:
        >>> figure = matrix([[1, 0.2, 0.9], [0.2, 1, None], [0.9, None, 1]], ["a", "b", "c"])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['b', 'c', 'a']
    """
    array, names = read_matrices(values, tasks, "values")
    array = np.where(np.isfinite(array), array, np.nan)
    off_diagonal = np.where(np.eye(len(names), dtype=bool), np.nan, array)
    order = order_by_linkage(off_diagonal)
    size = min(WIDTH, 2.8 + 0.45 * len(names))
    figure = Figure(figsize=(size, 0.88 * size), layout="constrained")
    axes = figure.subplots()
    labels = [names[index] for index in order]
    width = -(-len(names) // _MOST_CELLS)
    if width > 1:  # more cells than the figure has dots
        blocks = _average(off_diagonal[np.ix_(order, order)], width)
        draw_heat(axes, blocks, labels[::width], labels[::width])
        axes.set_title(f"{measure}, means of {width} x {width} pairs".lstrip(", "))
    else:
        draw_heat(axes, array[np.ix_(order, order)], labels, labels, ignore_diagonal=len(names) > 1)
        axes.set_title(measure)
    if directed:
        axes.set(xlabel="to task", ylabel="from task")
    elif len(names) > MOST_NAMES:
        axes.set(xlabel=f"{len(names)} tasks")
    return figure


def _average(values: FloatArray, width: int) -> FloatArray:
    """Returns the means of blocks of so many rows and columns, without the values that are NaN."""
    starts = np.arange(0, len(values), width)

    def total(array: FloatArray) -> FloatArray:
        return np.add.reduceat(np.add.reduceat(array, starts, axis=0), starts, axis=1)

    counts = total((~np.isnan(values)).astype(np.float64))
    sums = total(np.nan_to_num(values))
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
