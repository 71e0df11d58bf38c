"""Anchors of the training regimes, beside what the tables of `regimes.py` have.

`regimes_anchors.json` holds figures that were measured before this package had the regimes, on the
same small data where that is possible, and some of the papers. Each has a place in a table, or the
reason why it has none. The verdict:

    within    no further from the anchor than the spread: the larger one of the standard deviation
              of the anchor, where it is known, and of that over the seeds here
    beaten    better by more than that
    missed    worse by more; the note says why, as far as it is known
    differs   further away, where neither way is better

A bar asks for a difference of two rows: at least so much.
"""

import functools
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

HEADER = ("table", "row", "figure", "anchor", "here", "verdict")
PATH = pathlib.Path(__file__).with_name("regimes_anchors.json")

Tables = Mapping[str, tuple[list[str], list[list[str]]]]


@functools.cache
def read() -> dict[str, Any]:
    """Returns the anchors, the bars, what is better, the notes, and the figures without a row."""
    return json.loads(PATH.read_text())


def rows(tables: Tables) -> list[tuple[str, ...]]:
    """Returns the rows of the anchors of some tables.

    Args:
        tables: Header and rows by the name of the table.

    Raises:
        KeyError: If a table has no such row or column.
    """
    notes = {tuple(note["of"]): f": {note['why']}" for note in read()["notes"]}
    verdicts = [*_anchors(tables), *_bars(tables)]
    return [(*cells[:-1], cells[-1] + notes.get(cells[:3], "")) for cells in verdicts]


def _anchors(tables: Tables) -> Iterator[tuple[str, ...]]:
    for entry in read()["anchors"]:
        name = entry["table"]
        if name not in tables:
            continue
        of = f" ({entry['of']})" if "of" in entry else ""
        for column, cell in entry["figures"].items():
            anchor, known = cell if isinstance(cell, list) else (cell, 0.0)
            value, spread = figure(tables[name], entry["row"], column)
            text = f"{anchor:.3f}" + (f" ± {known:.3f}" if known else "") + of
            better = read()["better"][name].get(column)
            verdict = judge(value - anchor, max(spread, known), better)
            yield name, entry["row"], column, text, f"{value:.3f} ± {spread:.3f}", verdict


def _bars(tables: Tables) -> Iterator[tuple[str, ...]]:
    for bar in read()["bars"]:
        name, column = bar["table"], bar["column"]
        if name not in tables:
            continue
        value, other = (figure(tables[name], bar[key], column)[0] for key in ("row", "above"))
        reached = "reached" if value - other >= bar["least"] - 1e-9 else "missed"
        row = f"{bar['row']}, above {bar['above']}"
        yield name, row, column, f"at least {bar['least']:+.3f}", f"{value - other:+.3f}", reached


def judge(difference: float, spread: float, better: str | None) -> str:
    """Returns the verdict on a figure, of which the higher or the lower one is `better`.

    Example:
        >>> judge(0.01, 0.02, "higher"), judge(-0.05, 0.02, "lower"), judge(-0.05, 0.02, "higher")
        ('within', 'beaten', 'missed')
    """
    if abs(difference) <= spread + 1e-9:
        return "within"
    if better not in ("higher", "lower"):
        return "differs"
    return "beaten" if (difference > 0) == (better == "higher") else "missed"


def figure(table: tuple[list[str], list[list[str]]], row: str, column: str) -> tuple[float, float]:
    """Returns a figure of a table, and its spread.

    Raises:
        KeyError: If the table has no such row or column, or no figure there.
    """
    header, lines = table
    of_row = [line for line in lines if row in (line[0], ", ".join(line[:2]))]
    cell = of_row[0][header.index(column)] if of_row and column in header else ""
    numbers = re.findall(r"-?\d*\.?\d+", cell)
    if not numbers:
        raise KeyError(f"no figure {column!r} in row {row!r} of {lines} under {header}.")
    return float(numbers[0]), float(numbers[1]) if len(numbers) > 1 else 0.0
