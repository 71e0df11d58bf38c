"""Metrics after each epoch."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from keras_mtl.analysis._curves import Curves, read_curves
from keras_mtl.analysis.figures._drawing._lines import draw_panels
from keras_mtl.analysis.figures._drawing._style import styled


@styled
def curves(curves: Curves | Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws the metric of each task after each epoch, one line per contender.

    Of several seeds, the line is their mean and the band reaches from the smallest to the largest.
    Of more than 12 tasks, it shows the six whose metric improved least from the first epoch to the
    last, relative to the first, and the six that improved most. The band is no interval of the
    mean: for that, see `verdicts`.

    Args:
        curves: A `Curves`; or a dict by contender of dicts by task.

    Returns:
        A `matplotlib.figure.Figure`, one panel per task. Epochs count from 1.

    Raises:
        TypeError: If the curves are no dict of dicts of numbers.
        ValueError: If there is no curve.

    Example:
        >>> figure = curves({"MMoE": {"income": [0.8, 0.9], "age": [[9, 8], [9, 7]]}})
        >>> [axes.get_title("left") for axes in figure.axes]
        ['income', 'age']
    """
    return draw_panels(read_curves(curves), "curves")
