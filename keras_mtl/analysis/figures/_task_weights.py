"""Task weights after each epoch."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from keras_mtl.analysis._curves import read_curves
from keras_mtl.analysis.figures._drawing._lines import draw_panels
from keras_mtl.analysis.figures._drawing._style import styled


@styled
def task_weights(weights: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws the task weights after each epoch, one panel per task and one line per contender.

    A weight that falls to 0 is a task that a balancer gives up; weights that jump from epoch to
    epoch say that the balancer follows noise. Of several seeds, the line is their mean and the band
    reaches from the smallest to the largest. Of more than 12 tasks, it shows the six whose weights
    fell most and the six whose weights rose most.

    Args:
        weights: By contender and task, the weight after each epoch, `[E]`, or a list of one such
            sequence per seed, as the logs have them under `<task>_weight`.

    Returns:
        A `matplotlib.figure.Figure`. Epochs count from 1.

    Raises:
        TypeError: If the weights are no dict of dicts of numbers.
        ValueError: If there is no weight.

    Example:
        >>> figure = task_weights({"DWA": {"income": [1.0, 1.2], "age": [1.0, 0.8]}})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['weight', 'weight']
    """
    return draw_panels(read_curves(weights), "weights", "weight")
