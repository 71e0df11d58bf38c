"""Matrices as heat maps."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number
from keras_mtl.analysis.figures._drawing._axes import WIDTH
from keras_mtl.analysis.figures._drawing._style import GRAY, shorten

_MOST_NUMBERS = 14  # rows and columns: more numbers do not fit into their cells
MOST_NAMES = 60


def draw_heat(
    axes: Any,
    values: FloatArray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    ignore_diagonal: bool = False,
) -> None:
    """Draws a matrix with one color per cell, and its numbers where they fit.

    Values of both signs have a map with two colors and white at 0. Cells without a value are
    hatched. With `ignore_diagonal`, the scale is that of the other cells.
    """
    scaled = np.isfinite(values)
    if ignore_diagonal:
        scaled[np.diag_indices(len(values))] = False
    low, high, colors = _scale(values[scaled])
    # One hatched patch behind a transparent image: a patch per cell would be slow for many tasks.
    if np.isnan(values).any():
        axes.patch.set(hatch="////", facecolor="white", edgecolor=GRAY, linewidth=0.0)
    # Without interpolation, a file holds one dot per cell instead of an enlarged image.
    image = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colors,
        vmin=low,
        vmax=high,
        aspect="auto",
        interpolation="none",
    )
    axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    axes.grid(visible=False)
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        if len(names) <= MOST_NAMES:
            size = "medium" if len(names) <= 16 else "small" if len(names) <= 30 else 5.5
            axis.set_ticks(range(len(names)), [shorten(name, 22) for name in names], size=size)
        else:
            axis.set_ticks([])
    if len(columns) > 4 or max(map(len, columns), default=0) > 9:
        axes.tick_params(axis="x", rotation=90)
    if max(values.shape) <= _MOST_NUMBERS:
        _write_numbers(axes, image, values)


def draw_table(values: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Draws a heat map of a dict of dicts with a figure of its own, one row per outer key."""
    columns = list(dict.fromkeys(str(key) for row in values.values() for key in row))
    array: FloatArray = np.array(
        [read_numbers([row.get(key) for key in columns], str(name)) for name, row in values.items()]
    ).reshape(len(values), len(columns))
    longest = max(map(len, columns), default=0)
    height = 1.4 + 0.26 * min(len(values), 30) + (0.07 * min(longest, 22))
    figure = Figure(figsize=(min(WIDTH, 4.0 + 0.4 * len(columns)), height), layout="constrained")
    axes = figure.subplots()
    draw_heat(axes, array, [str(name) for name in values], columns)
    axes.set_title(title)
    return figure


def _scale(known: FloatArray) -> tuple[float, float, str]:
    if not len(known):
        return 0.0, 1.0, "Blues"
    if known.min() < -0.1 * abs(known.max()):  # some measures are slightly negative by noise
        limit = float(np.abs(known).max())
        limit = 1.0 if 0.3 < limit <= 1.0 + 1e-9 else limit
        return -limit, limit, "PuOr"
    high = float(known.max())
    return 0.0, 1.0 if 0.3 < high <= 1.0 + 1e-9 else high or 1.0, "Blues"


def _write_numbers(axes: Any, image: Any, values: FloatArray) -> None:
    shades = image.cmap(image.norm(values))[..., :3] @ [0.299, 0.587, 0.114]
    limit = max(abs(image.norm.vmin), abs(image.norm.vmax))
    write = _writer(limit)
    for row, column in np.argwhere(np.isfinite(values)):
        text = axes.text(
            column,
            row,
            write(float(values[row, column])),
            ha="center",
            va="center",
            size="small" if max(values.shape) <= 8 else "x-small",
            color="black" if shades[row, column] > 0.5 else "white",
        )
        text.set_in_layout(False)  # it is inside of the axes, and layout measures every text


def _writer(limit: float) -> Callable[[float], str]:
    """Returns a function that writes numbers with as many decimals as the scale of colors needs."""
    exponent = math.log10(limit)
    decimals = max(0, 2 - (math.floor(exponent) if limit >= 1.0 else math.ceil(exponent)))
    if decimals > 4:
        return lambda value: format_number(value, 2)
    zero = f"{-0.0:.{decimals}f}"
    return lambda value: text if (text := f"{value:.{decimals}f}") != zero else text[1:]
