"""Colors, lines and settings that all figures have in common."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib.style

# Okabe and Ito 2008, without their yellow, which is too pale on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GRAY = "#767676"

_SETTINGS = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.0,
    # Names of tasks are no formulas, even with two dollars in them.
    "text.parse_math": False,
}

_Arguments = ParamSpec("_Arguments")


def styled(draw: Callable[_Arguments, Any]) -> Callable[_Arguments, Any]:
    """Returns the function with the settings of this package in the place of the user's own."""

    @functools.wraps(draw)
    def draw_styled(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Any:
        with matplotlib.style.context(["default", _SETTINGS]):
            return draw(*args, **kwargs)

    return draw_styled


def look_of(index: int) -> dict[str, Any]:
    """Returns color, line and marker of a contender; 35 of them differ."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": LINES[index % len(LINES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def label_of(name: str) -> str:
    """Returns a name as an entry of a legend: Matplotlib 3.8 leaves out those with `_` in front."""
    return f" {name}" if name.startswith("_") else name


def shorten(name: str, length: int = 28) -> str:
    """Returns a name that fits beside an axis."""
    return name if len(name) <= length else f"{name[: length - 1]}\N{HORIZONTAL ELLIPSIS}"


ARROWS = {"max": "\N{UPWARDS ARROW} higher is better", "min": "\N{DOWNWARDS ARROW} lower is better"}
