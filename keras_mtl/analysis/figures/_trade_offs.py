"""Gains of one task against those of another."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inputs._points import Points, read_points
from keras_mtl.analysis._pareto_front import pareto_front
from keras_mtl.analysis._printing._tables import format_number
from keras_mtl.analysis.figures._drawing._axes import WIDTH
from keras_mtl.analysis.figures._drawing._style import COLORS, GRAY, look_of, shorten, styled

_MOST_NAMES = 12
_MOST_TASKS = 60


@styled
def trade_offs(
    gains: Any,
    *,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Draws which settings trade one task for another: the Pareto front.

    Of two tasks, one axis each: the baseline is at (0, 0), settings that another one
    dominates are gray, and a line bounds the gains that some setting reaches. Of more tasks, one
    vertical axis each, in the order of the tasks, and one line per setting; of one task, one axis
    with names.

    Choose it to see what a gain of one task costs another. Not to decide whether a gain is real:
    `verdicts` shows that.

    Args:
        gains: The gains, as fractions of the metrics of the baseline (as a rule one network per
            task): `[n, K]`, a dict of dicts by setting and task, or a data frame. Settings with a
            missing gain are left out.
        intervals: By setting and task, lower and upper end of the interval of the gain.
        weights: By setting, the task weights, which are written beside its point.

    Returns:
        A `matplotlib.figure.Figure`, in percent.

    Raises:
        TypeError: If a gain is no number.
        ValueError: If the gains are no `[n, K]` array.

    Example:
        >>> figure = trade_offs({"equal": {"age": 0.01, "fee": 0.02},
        ...                      "searched": {"age": 0.03, "fee": -0.01}})
        >>> figure.axes[0].get_xlabel()
        'gain of age, %'
    """
    data = read_points(gains, True)
    front = set(pareto_front(gains).names)
    texts = {
        name: ", ".join(f"{format_number(value, 2)}" for value in by_task.values())
        for name, by_task in (weights or {}).items()
    }
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    if len(data.objectives) > 2:
        _draw_parallel(figure, data, front)
    else:
        _draw_plane(figure.subplots(), data, front, intervals or {}, texts)
    return figure


def _draw_plane(
    axes: Any,
    data: Points,
    front: set[str],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    texts: Mapping[str, str],
) -> None:
    values = 100.0 * data.gains
    if values.shape[1] == 1:  # one task: settings side by side
        values = np.stack([np.arange(len(values), dtype=float), values[:, 0]], axis=1)
        axes.set(ylabel=f"gain of {data.objectives[0]}, %", xlabel="setting")
    else:
        first, second = data.objectives
        axes.set(xlabel=f"gain of {first}, %", ylabel=f"gain of {second}, %")
        axes.axvline(0.0, color=GRAY, linewidth=0.8)
        axes.plot(0.0, 0.0, "*", color="black", ms=11)
        axes.annotate("baseline", (0.0, 0.0), (6, -12), textcoords="offset points", size="small")
        on_front = values[[name in front for name in data.names] & data.is_complete]
        on_front = on_front[np.argsort(on_front[:, 0])]
        axes.step(on_front[:, 0], on_front[:, 1], "--", color=GRAY, linewidth=1.0)
    axes.axhline(0.0, color=GRAY, linewidth=0.8)
    names = front if len(data.names) > _MOST_NAMES else {*data.names}
    for index in np.flatnonzero(data.is_complete):
        name = data.names[index]
        color = COLORS[0] if name in front else GRAY
        axes.plot(*values[index], "o" if name in front else "x", color=color)
        _draw_interval(axes, values[index], intervals.get(name, {}), data.objectives, color)
        if name in names and len(names) <= 2 * _MOST_NAMES:
            text = shorten(name) + (f" ({texts[name]})" if name in texts else "")
            place = {"textcoords": "offset points", "size": "small", "color": color}
            axes.annotate(text, values[index], (5, 4), **place)
    axes.margins(0.15)


def _draw_interval(
    axes: Any,
    point: FloatArray,
    ends: Mapping[str, tuple[float, float]],
    objectives: tuple[str, ...],
    color: str,
) -> None:
    style = {"colors": color, "linewidth": 0.9, "alpha": 0.7}
    if len(objectives) == 2 and objectives[0] in ends:
        axes.hlines(point[1], *(100.0 * end for end in ends[objectives[0]]), **style)
    if objectives[-1] in ends:
        axes.vlines(point[0], *(100.0 * end for end in ends[objectives[-1]]), **style)


def _draw_parallel(figure: Any, data: Points, front: set[str]) -> None:
    axes = figure.subplots()
    places = np.arange(len(data.objectives))
    handles = []
    shown = [index for index, name in enumerate(data.names) if data.is_complete[index]]
    # The front is drawn last, above the gray lines.
    for index in sorted(shown, key=lambda index: data.names[index] in front):
        name = data.names[index]
        look = look_of(index)
        if name not in front:
            look = {"color": GRAY, "linewidth": 0.8, "linestyle": look["linestyle"]}
        if len(places) > _MOST_TASKS:
            look.pop("marker", None)
        lines = axes.plot(places, 100.0 * data.gains[index], ms=4, **look)
        handles.append((index, lines[0], name))
    axes.axhline(0.0, color="black", linewidth=1.0)
    axes.set_ylabel("gain, %")
    if len(places) <= _MOST_TASKS:
        names = [shorten(name, 22) for name in data.objectives]
        axes.set_xticks(places, names, rotation=90 if len(places) > 5 else 0)
    else:
        axes.set_xlabel("tasks, in their order")
    if len(handles) <= _MOST_NAMES:
        handles.sort(key=lambda entry: entry[0])
        labels = [
            f"{shorten(name)}{'' if name in front else ' (dominated)'}" for *_, name in handles
        ]
        lines = [line for _, line, _ in handles]
        figure.legend(lines, labels, loc="outside upper left", ncols=min(3, len(lines)))
