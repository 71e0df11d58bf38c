"""Gains against the weights of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis.figures._drawing._axes import panels
from keras_mtl.analysis.figures._drawing._choose import keep_ends
from keras_mtl.analysis.figures._drawing._style import COLORS, GRAY, shorten, styled

_MOST_TASKS = 12


@styled
def weight_effects(
    weights: Sequence[Mapping[str, float]], gains: Sequence[Mapping[str, float]]
) -> Figure:
    """Draws the gain of each task against the logarithm of its weight, one point per trial.

    Points that rise to the right say that the task needs weight; a cloud without a slope says that
    its weight does not matter here. Of more than 12 tasks, it shows those with the least and the
    greatest spread of gains.

    Args:
        weights: Per trial, the weights by task, above 0.
        gains: Per trial, the gains by task, as fractions; empty or NaN for failed trials.

    Returns:
        A `matplotlib.figure.Figure`, one panel per task, in percent.

    Raises:
        ValueError: If the numbers of trials differ, or there is no trial.

    Example:
        >>> figure = weight_effects([{"age": 1.0, "fee": 1.0}, {"age": 1.5, "fee": 0.5}],
        ...                         [{"age": 0.01, "fee": 0.0}, {"age": 0.02, "fee": -0.01}])
        >>> figure.axes[1].get_title("left")
        'fee'
    """
    if not weights or len(weights) != len(gains):
        raise ValueError(
            f"there are {len(weights)} trials with weights and {len(gains)} with gains; expected "
            "the same trials, at least one."
        )
    tasks = list(dict.fromkeys(task for by_task in weights for task in by_task))
    points = {task: _points(weights, gains, task) for task in tasks}
    if len(tasks) > _MOST_TASKS:
        spreads = {
            task: float(np.ptp(points[task][1])) if points[task][1].size else np.nan
            for task in tasks
        }
        least, most = keep_ends(spreads, _MOST_TASKS)
        tasks = least + most
    figure, grid = panels(len(tasks))
    for task, axes in zip(tasks, grid, strict=True):
        axes.axhline(0.0, color=GRAY, linewidth=0.8)
        axes.axvline(0.0, color=GRAY, linewidth=0.8)
        axes.plot(*points[task], "o", color=COLORS[0], ms=4, alpha=0.8)
        axes.set(title=shorten(task), ylabel="gain, %")
    for axes in grid[-3:]:
        axes.set_xlabel("ln weight")
    return figure


def _points(
    weights: Sequence[Mapping[str, float]], gains: Sequence[Mapping[str, float]], task: str
) -> Any:
    pairs = [
        (np.log(by_task[task]), 100.0 * gain.get(task, np.nan))
        for by_task, gain in zip(weights, gains, strict=True)
        if by_task.get(task, 0.0) > 0.0
    ]
    array = np.array(pairs, float).reshape(-1, 2)
    return array[np.isfinite(array).all(axis=1)].T
