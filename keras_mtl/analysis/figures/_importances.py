"""What the inputs are worth to each task."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from keras_mtl.analysis.figures._drawing._heat import draw_table
from keras_mtl.analysis.figures._drawing._style import styled

_MOST_INPUTS = 30
_MOST_TASKS = 60


@styled
def importances(
    values: Mapping[str, Mapping[str, float]], *, measure: str = "importance"
) -> Figure:
    """Draws the importance of each input for each task: attributions, or drops of metrics.

    Inputs are ordered by their contrast, the largest value minus the median over tasks: on top
    stand inputs that serve some tasks and not the other ones. Of more than 30 inputs, it shows the
    30 with the largest absolute value for any task. Small negative values are noise.

    Args:
        values: By task and input, the importance. Where metrics of tasks have different units, pass
            shares of a task's sum: the colors then compare.
        measure: What the values are, as a title.

    Returns:
        A `matplotlib.figure.Figure`: one row per input, one column per task.

    Raises:
        TypeError: If a value is no number.

    Example:
        >>> figure = importances({"income": {"age": 0.3, "sex": 0.1},
        ...                       "fee": {"age": 0.3, "sex": 0.6}})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['sex', 'age']
    """
    tasks = list(values)[:_MOST_TASKS]
    inputs = list(dict.fromkeys(name for by_input in values.values() for name in by_input))
    rows = {name: [values[task].get(name, np.nan) for task in tasks] for name in inputs}
    largest = sorted(inputs, key=lambda name: -_reach(rows[name]))[:_MOST_INPUTS]
    ranked = sorted(largest, key=lambda name: -_contrast(rows[name]))
    table = {name: dict(zip(tasks, rows[name], strict=True)) for name in ranked}
    return draw_table(table, measure)


def _reach(values: list[float]) -> float:
    known = [abs(value) for value in values if not np.isnan(value)]
    return max(known, default=0.0)


def _contrast(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(max(known) - np.median(known)) if known else 0.0
