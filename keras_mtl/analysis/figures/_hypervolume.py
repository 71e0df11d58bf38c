"""The hypervolume after each trial of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from keras_mtl.analysis._inputs._numbers import read_numbers
from keras_mtl.analysis.figures._drawing._axes import WIDTH, add_legend, count_whole
from keras_mtl.analysis.figures._drawing._style import look_of, styled


@styled
def hypervolume(values: Sequence[float] | Mapping[str, Any]) -> Figure:
    """Draws how the hypervolume of the front grows with the trials of a search.

    A curve that is still rising at its end says that more trials may find better settings.

    Args:
        values: The hypervolume after each trial, `[n]`, as `analysis.hypervolume` computes it; or
            several such sequences by the name of the search, all with one reference.

    Returns:
        A `matplotlib.figure.Figure`. Trials count from 1.

    Raises:
        TypeError: If a value is no number.

    Example:
        >>> figure = hypervolume([0.010, 0.010, 0.012])
        >>> figure.axes[0].get_xlabel()
        'trials'
    """
    searches = values if isinstance(values, Mapping) else {"search": values}
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    for index, (name, volumes) in enumerate(searches.items()):
        array = read_numbers(volumes, f"values[{name!r}]")
        look = {**look_of(index), "marker": "o" if len(array) < 2 else ""}
        axes.plot(range(1, len(array) + 1), array, drawstyle="steps-post", **look)
    axes.set(xlabel="trials", ylabel="hypervolume (\N{UPWARDS ARROW} is better)")
    count_whole(axes)
    add_legend(figure, list(searches))
    return figure
