"""Draws the figure of the README from the tables of `benchmarks/README.md`.

    python scripts/make_figure.py            writes docs/sharing.png
    python scripts/make_figure.py --print    prints the numbers that it draws

The section on `sharing.py` has a table per data set. The row `mean gain` of each one holds the gain
of one shared network over one network per task, in percent, with its 95 % interval.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

NUMBER = r"(-?\d+(?:\.\d+)?)"
INTERVAL = re.compile(rf"{NUMBER} \[{NUMBER}, {NUMBER}\](?:: (\w+))?")

COLORS = {"helped": "#1b7f4d", "hurt": "#b3261e", "undecided": "#5f6368"}


def read_gains(text: str) -> list[tuple[str, str, float, float, float, str]]:
    """Reads the mean gain of hard sharing on each set: name, size, gain, interval, verdict.

    Args:
        text: The text of `benchmarks/README.md`.

    Returns:
        One row per data set, the largest gain first.

    Raises:
        ValueError: If the section has no row of a mean gain.
    """
    section = text.partition("\n## sharing.py")[2].partition("\n## ")[0]
    rows = []
    for part in section.split("\n\n"):
        head = re.match(r"([A-Z][\w-]+) \(([\d,]+ [a-z]+|[a-z ]+\d+ [a-z]+)", part)
        if head:
            name, size = head.groups()
        row = re.search(r"^\| mean gain \|(.*)$", part, re.MULTILINE)
        if row:
            gain, low, high, verdict = INTERVAL.search(row[1]).groups()
            rows.append((name, size, float(gain), float(low), float(high), verdict or "undecided"))
    if not rows:
        raise ValueError("benchmarks/README.md: the section on sharing.py has no mean gain.")
    return sorted(rows, key=lambda row: -row[2])


def signed(gain: float, digits: int = 1) -> str:
    """Returns a gain in percent with its sign; 0 has none."""
    text = f"{gain:+.{digits}f}".replace("-", "\u2212")
    return f"{text if float(f'{gain:.{digits}f}') else text[1:]} %"


def draw(rows: Sequence[tuple[str, str, float, float, float, str]], path: Path) -> None:
    """Draws a line per data set: the gain as a dot, on its interval."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    plt.rcParams |= {"font.size": 13, "font.family": "DejaVu Sans"}
    figure, axes = plt.subplots(figsize=(7.6, 0.6 * len(rows) + 1.7), layout="constrained")
    for place, (_, _, gain, low, high, verdict) in enumerate(reversed(rows)):
        color = COLORS[verdict]
        axes.plot([low, high], [place, place], color=color, linewidth=4, solid_capstyle="round")
        axes.plot(gain, place, "o", color=color, markersize=11)
        axes.annotate(
            signed(gain),
            (high, place),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontweight="bold",
        )
    axes.axvline(0, color="#202124", linewidth=1)
    labels = [f"{name}\n{size}" for name, size, *_ in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, fontsize=11)
    axes.set_xlim(min(row[3] for row in rows) - 1, max(row[4] for row in rows) + 3)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("gain over one network per task, with 95 % interval", fontsize=12)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda gain, _: signed(gain, 0))
    axes.set_title(
        "Does sharing help? It depends: measure it",
        loc="left",
        pad=12,
        fontweight="bold",
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e0e0e0")
    axes.set_axisbelow(True)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the tables, and draws or prints them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--print", action="store_true", help="print the numbers, and draw nothing")
    rows = read_gains((ROOT / "benchmarks" / "README.md").read_text())
    if parser.parse_args(arguments).print:
        for row in rows:
            print(*row, sep="\t")
    else:
        draw(rows, ROOT / "docs" / "sharing.png")


if __name__ == "__main__":
    main()
