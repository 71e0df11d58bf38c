"""What a page consists of."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_mtl.analysis._reporting._cells import NONE, to_plain, to_text

MOST_ROWS = 200
"""Of longer tables the page shows the first rows; the files beside it hold all."""

_LONG = 26  # letters that a column of texts holds in one line
_NUMBER = re.compile(rf"[-+0-9.,e%\[\] ]*(?:nan|inf)?|{NONE}")


@dataclasses.dataclass(frozen=True)
class Table:
    """Holds a table: all values as plain values, and the texts that the page shows.

    Args:
        name: How its CSV file is called, after the name of the page; "" for another view of a table
            that has one.
        caption: What the table shows.
        columns: The names of its columns.
        rows: Its values, for JSON and CSV.
        header: The names of the columns on the page.
        cells: The texts on the page; the first one of a row is its header.
        note: Which rows the page shows, if not all.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each column of the page: "" for numbers, "t" for texts, "l" for long ones."""
        return tuple(map(_kind_of, zip(*self.cells, strict=True))) or ("",) * len(self.header)


@dataclasses.dataclass(frozen=True)
class Picture:
    """Holds a figure as an image, with its sentence and its numbers.

    Args:
        source: The image as a data URI.
        alt: What a reader without the image has to know.
        sentence: What the figure shows.
        width: Its width in pixels, at which its letters have the size of the text.
        tables: Its numbers, folded.
    """

    source: str
    alt: str
    sentence: str
    width: int
    tables: tuple[Table, ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """Holds a section of a page.

    Args:
        name: Its anchor.
        heading: Its heading.
        parts: Sentences, tables and pictures, in their order. A list is one of sentences.
    """

    name: str
    heading: str
    parts: tuple[str | list[str] | Table | Picture, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of the section, folded ones too."""
        tables: list[Table] = []
        for part in self.parts:
            if isinstance(part, Picture):
                tables.extend(part.tables)
            elif isinstance(part, Table):
                tables.append(part)
        return tuple(tables)


def _kind_of(column: tuple[str, ...]) -> str:
    if all(map(_NUMBER.fullmatch, column)):
        return ""
    longest = max(len(line) for cell in column for line in cell.split("\n"))
    return "t" if longest <= _LONG else "l"


def make_table(
    name: str,
    caption: str,
    records: Iterable[Mapping[str, Any]],
    *,
    header: Sequence[str] | None = None,
    cells: Sequence[Sequence[str]] | None = None,
    note: str = "",
) -> Table:
    """Builds a table from one dict per row; what a row lacks is missing.

    Args:
        name: How its CSV file is called.
        caption: What the table shows.
        records: The rows.
        header: The names of the columns on the page, if they differ from those of the records.
        cells: The texts on the page, if they differ.
        note: Which rows the page shows, if it is not the first ones.
    """
    rows = [{str(key): to_plain(value) for key, value in row.items()} for row in records]
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    values = tuple(tuple(row.get(column) for column in columns) for row in rows)
    if cells is None:
        cells = [[to_text(value) for value in row] for row in values[:MOST_ROWS]]
    if not note and len(values) > MOST_ROWS:
        note = f"The first {MOST_ROWS} of {len(values):,} rows."
    shown = tuple(tuple(row) for row in cells[:MOST_ROWS])
    return Table(name, caption, columns, values, tuple(header or columns), shown, note)
