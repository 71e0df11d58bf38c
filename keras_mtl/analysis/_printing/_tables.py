"""Aligned tables of text."""

import math
from collections.abc import Sequence

MISSING = "-"
"""The cell of a value that does not exist."""


def format_number(value: float, digits: int = 3) -> str:
    """Returns a number with so many significant digits, and a dash for NaN."""
    if math.isnan(value):
        return MISSING
    return f"{value:.{digits}g}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns lines with columns aligned: the first one to the left, all others to the right."""
    table = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *cells in table:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)
