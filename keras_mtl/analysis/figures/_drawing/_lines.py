"""Panels with one line per contender."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis._curves import Curves
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis.figures._drawing._axes import add_legend, count_whole, panels
from keras_mtl.analysis.figures._drawing._choose import keep_ends
from keras_mtl.analysis.figures._drawing._style import ARROWS, look_of, shorten

_MOST_TASKS = 12


def draw_panels(data: Curves, argument: str, label: str = "") -> Figure:
    """Draws one panel per task, one line per contender.

    Args:
        data: The values.
        argument: What they are called in an error.
        label: The label of the vertical axes of tasks whose metric has no name.
    """
    if not data.tasks:
        raise ValueError(f"{argument} is empty; expected at least one contender with one task.")
    tasks = list(data.tasks)
    if len(tasks) > _MOST_TASKS:
        worst, best = keep_ends({task: _progress(data, task) for task in tasks}, _MOST_TASKS)
        tasks = worst + best
    longest = max(data.seeds(name, task).shape[1] for name in data.contenders for task in tasks)
    figure, grid = panels(len(tasks))
    for task, axes in zip(tasks, grid, strict=True):
        for index, contender in enumerate(data.contenders):
            _draw(axes, data.seeds(contender, task), index)
        mode = data.mode(task)
        arrow = ARROWS[mode][0] if mode else ""
        axes.set_title(shorten(task))
        axes.set_ylabel(f"{data.metrics.get(task, label)} {arrow}".strip())
        if longest > 1:
            count_whole(axes)
        else:
            axes.set(xlim=(0.5, 1.5), xticks=[1])
    for axes in grid[-3:]:
        axes.set_xlabel("epoch")
    add_legend(figure, data.contenders)
    return figure


def _draw(axes: Any, values: FloatArray, index: int) -> None:
    known = ~np.isnan(values)
    epochs = np.flatnonzero(known.any(axis=0))
    if not len(epochs):
        return
    values = values[:, epochs]
    look = look_of(index)
    # A single epoch is a point; a line through it would not be seen.
    marker = look["marker"] if len(epochs) == 1 else ""
    means = np.nanmean(values, axis=0)
    axes.plot(epochs + 1, means, **{**look, "marker": marker})
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axes.fill_between(epochs + 1, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _progress(data: Curves, task: str) -> float:
    """Returns the improvement from the first to the last epoch, as a fraction of the first."""
    sign = -1.0 if data.mode(task) == "min" else 1.0
    changes = []
    for contender in data.contenders:
        values = data.seeds(contender, task)
        means = [float(np.nanmean(epoch)) for epoch in values.T if not np.isnan(epoch).all()]
        if len(means) and means[0] != 0.0:
            changes.append(sign * (means[-1] - means[0]) / abs(means[0]))
    return float(np.mean(changes)) if changes else float("nan")
