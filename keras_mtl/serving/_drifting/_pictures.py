"""Figures of a drift report: predictions by bin, and labels by probability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from keras_mtl.analysis.figures._drawing._axes import panels
from keras_mtl.analysis.figures._drawing._style import COLORS, GRAY, shorten, styled
from keras_mtl.serving._drifting._rows import TaskDrift

MOST_PANELS = 12

_Z99 = 2.5758293035489004
"""99 % of a normal variable are between -z and z."""

_MOST_BARS = 12


@styled
def draw_bins(tasks: Sequence[TaskDrift]) -> Figure:
    """Draws the share of predictions in each bin, now and in the reference, one panel per task."""
    figure, grid = panels(len(tasks))
    for task, axes in zip(tasks, grid, strict=True):
        # Of many classes the most frequent ones of the reference.
        before, now = np.array(task.reference_counts, float), np.array(task.counts, float)
        shown = np.sort(np.argsort(-before, kind="stable")[:_MOST_BARS])
        before, now = before[shown] / before.sum(), now[shown] / now.sum()
        places = np.arange(len(shown))
        axes.bar(places, before, 0.9, color="#C9CCD1")
        axes.bar(places, now, 0.45, color=COLORS[0])
        axes.set_title(shorten(task.task, 22))
        axes.grid(visible=False, axis="x")
        _label_bins(axes, task, shown)
    for axes in grid[::3]:
        axes.set_ylabel("share")
    handles = [Patch(color="#C9CCD1", label="reference"), Patch(color=COLORS[0], label="now")]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


@styled
def draw_reliability(tasks: Sequence[TaskDrift]) -> Figure:
    """Draws the share of labels by probability, with its range by chance, one panel per task."""
    figure, grid = panels(len(tasks))
    for task, axes in zip(tasks, grid, strict=True):
        p = np.array([part.prediction for part in task.reliability])
        shares = np.array([part.share for part in task.reliability])
        reach = _Z99 * np.array([part.deviation for part in task.reliability])
        axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8)
        low, high = np.maximum(p - reach, 0), np.minimum(p + reach, 1)
        axes.vlines(p, low, high, colors="#B4B8BE", linewidth=5)
        axes.plot(p, shares, "o", color=COLORS[0])
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_title(shorten(task.task, 22))
    for axes in grid[::3]:
        axes.set_ylabel("share that came true")
    for axes in grid[-3:]:
        axes.set_xlabel("probability")
    return figure


def _label_bins(axes: Any, task: TaskDrift, shown: npt.NDArray[np.intp]) -> None:
    """Writes a few of the cuts between bins, or of the classes: more do not fit below a panel."""
    places: npt.NDArray[Any]
    if task.edges:
        places = np.arange(len(task.edges)) + 0.5
        names = [f"{edge:.3g}" for edge in task.edges]
    else:
        places, names = np.arange(len(shown)), [shorten(task.bins[place], 8) for place in shown]
    few = sorted({0, (len(names) - 1) // 2, len(names) - 1})
    axes.set_xticks([places[i] for i in few], [names[i] for i in few], size="small")
