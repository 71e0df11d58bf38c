"""What contenders gain on one task and lose on another."""

import math
from collections.abc import Mapping

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._pareto_front import ParetoFront, pareto_front
from keras_mtl.analysis._reporting._cells import to_percent
from keras_mtl.analysis._reporting._page import Section, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._task_verdict import TaskVerdict

_MOST_COLUMNS = 12
_MANY_TASKS = 4


def make_trade_offs(comparisons: Mapping[str, Comparison]) -> Section | None:
    """Returns the section of the Pareto front, if there are several tasks and contenders."""
    rows = {name: _rows_by_task(comparison) for name, comparison in comparisons.items()}
    tasks = list(dict.fromkeys(task for by_task in rows.values() for task in by_task))
    if len(tasks) < 2 or len(rows) < 2:
        return None
    gains = {name: _mean_gains(by_task, tasks) for name, by_task in rows.items()}
    front = pareto_front(gains)
    names = ", ".join(front.names) or "none"
    sentence = (
        "One axis for each task; the baseline is the star at (0, 0), and lines through a point are "
        "its 95 % intervals."
        if len(tasks) == 2
        else "One vertical axis for each task, one line for each contender; the baseline is at 0."
    )
    sentence += " Gray contenders are dominated: another one is at least as good on all tasks, and"
    sentence += f" better on one. Not dominated: {names}."
    if len(tasks) > _MANY_TASKS:
        sentence += " Of so many tasks, nearly every contender is the best at something."
    picture = make_picture(
        figures.trade_offs(gains, intervals=_intervals(rows)),
        f"Gains of {len(gains)} contenders on {len(tasks)} tasks; not dominated: {names}",
        sentence,
        _table(gains, front),
    )
    return Section("trade-offs", "Trade-offs between tasks", (picture,))


def _mean_gains(rows: Mapping[str, list[TaskVerdict]], tasks: list[str]) -> dict[str, float]:
    """Returns the mean gain over the rows of each task; NaN for a task without a row."""
    return {
        task: float(np.mean([row.gain for row in rows[task]])) if task in rows else math.nan
        for task in tasks
    }


def _intervals(
    rows: Mapping[str, Mapping[str, list[TaskVerdict]]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Returns the intervals of tasks with one row; a mean of several gains has none."""
    return {
        name: {
            task: (parts[0].gain_lower, parts[0].gain_upper)
            for task, parts in by_task.items()
            if len(parts) == 1
        }
        for name, by_task in rows.items()
    }


def _table(gains: Mapping[str, Mapping[str, float]], front: ParetoFront) -> Table:
    states = {
        name: "yes" if name in front.names else "failed" if name in front.failed else "no"
        for name in gains
    }
    records = [
        {"contender": name, "on the front": states[name], **by_task}
        for name, by_task in gains.items()
    ]
    tasks = list(front.objectives)
    cells = [
        [name, states[name], *(to_percent(by_task[task]) for task in tasks[:_MOST_COLUMNS])]
        for name, by_task in gains.items()
    ]
    header = ["contender", "on the front", *(f"{task}, %" for task in tasks[:_MOST_COLUMNS])]
    note = f"The first {_MOST_COLUMNS} of {len(tasks)} tasks." if len(tasks) > _MOST_COLUMNS else ""
    caption = "Gains by task, the mean over its metrics"
    return make_table("trade_offs", caption, records, header=header, cells=cells, note=note)


def _rows_by_task(comparison: Comparison) -> dict[str, list[TaskVerdict]]:
    rows: dict[str, list[TaskVerdict]] = {}
    for row in comparison.rows:
        rows.setdefault(row.task, []).append(row)
    return rows
