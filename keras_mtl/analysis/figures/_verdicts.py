"""Gains of contenders with their intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._texts import name_of
from keras_mtl.analysis.figures._drawing._axes import WIDTH, add_legend, draw_forest
from keras_mtl.analysis.figures._drawing._choose import keep_ends, spread
from keras_mtl.analysis.figures._drawing._style import COLORS, label_of, shorten, styled

_MOST_ROWS = 24
_ENDS = 12


@styled
def verdicts(comparisons: Comparison | Mapping[str, Comparison]) -> Figure:
    """Draws the gain of each contender on each task, with its 95 % interval: a forest plot.

    Choose it to see at once where contenders help and where they hurt. An interval to the right of
    0 is an improvement. Of more than 24 rows, it shows the distribution of gains by contender, and
    the rows with the smallest and with the largest mean gain over contenders.

    Args:
        comparisons: The comparison of a contender with the baseline, or several by contender.

    Returns:
        A `matplotlib.figure.Figure`. Gains are in percent of the baseline's score.

    Raises:
        ValueError: If there is no comparison.

    Example:
        >>> from keras_mtl.analysis import compare_scores
        >>> before = {"age": [8.2, 8.3, 8.1]}
        >>> figure = verdicts({"MMoE": compare_scores(before, {"age": [8.1, 8.1, 8.0]},
        ...                                           directions="min")})
        >>> figure.axes[0].get_xlabel()
        'gain over the baseline, % (further right is better)'
    """
    if isinstance(comparisons, Comparison):
        comparisons = {"contender": comparisons}
    if not comparisons:
        raise ValueError("comparisons is empty; expected at least one.")
    gains = {name: _gains(comparison) for name, comparison in comparisons.items()}
    rows = list(dict.fromkeys(row for by_row in gains.values() for row in by_row))
    if len(rows) <= _MOST_ROWS:
        height = 1.3 + len(rows) * (0.16 + 0.1 * len(gains))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        _draw(figure.subplots(), rows, gains)
    else:
        figure = _draw_many(rows, gains)
    add_legend(figure, list(gains), marks=True)
    return figure


def _gains(comparison: Comparison) -> dict[str, list[float]]:
    """Returns gain and ends of the interval in percent, by task, column and metric."""
    metrics: dict[str, set[str]] = {}
    for row in comparison.rows:
        metrics.setdefault(name_of(row), set()).add(row.metric)
    return {
        # The metric stands there only where a task has several.
        name_of(row) if len(metrics[name_of(row)]) == 1 else f"{name_of(row)}, {row.metric}": [
            100.0 * value for value in (row.gain, row.gain_lower, row.gain_upper)
        ]
        for row in comparison.rows
    }


def _draw(axes: Any, rows: list[str], gains: Mapping[str, Mapping[str, list[float]]]) -> None:
    points: dict[str, FloatArray] = {
        name: np.array([by_row.get(row, [np.nan] * 3) for row in rows])
        for name, by_row in gains.items()
    }
    draw_forest(axes, rows, points)
    axes.set_xlabel("gain over the baseline, % (further right is better)")


def _draw_many(rows: list[str], gains: Mapping[str, Mapping[str, list[float]]]) -> Figure:
    means = {
        row: float(np.mean([by_row.get(row, [np.nan])[0] for by_row in gains.values()]))
        for row in rows
    }
    worst, best = keep_ends(means, _ENDS)
    height = 2.6 + 0.25 * len(gains) + _ENDS * (0.16 + 0.1 * len(gains))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    ratios = [1.0 + 0.25 * len(gains), _ENDS * (0.16 + 0.1 * len(gains))]
    top, bottom = figure.subplots(2, 1, height_ratios=ratios)
    _draw_distribution(top, gains)
    _draw(bottom, worst + best, gains)
    bottom.axhline(len(worst) - 0.5, color="black", linewidth=0.8)
    bottom.set_title(f"the {len(worst)} rows with the smallest and largest mean gain")
    return figure


def _draw_distribution(axes: Any, gains: Mapping[str, Mapping[str, list[float]]]) -> None:
    boxes = [spread([values[0] for values in by_row.values()]) for by_row in gains.values()]
    keys = ("whislo", "q1", "med", "q3", "whishi")
    artists = axes.bxp(
        [dict(zip(keys, box, strict=True)) for box in boxes],
        positions=range(len(boxes)),
        orientation="horizontal",
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": "black"},
    )
    for index, patch in enumerate(artists["boxes"]):
        patch.set(facecolor=COLORS[index % len(COLORS)], alpha=0.6)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(gains)), [label_of(shorten(name)) for name in gains])
    axes.set_ylim(len(gains) - 0.5, -0.5)
    count = max(map(len, gains.values()))
    axes.set_title(f"gains on {count} rows, %: smallest, quartiles, largest")
