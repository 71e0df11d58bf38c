"""The tables of the pages on benchmarks: kept as JSON by a benchmark, written to them from it.

    python benchmarks/cut.py --record           keeps its rows in benchmarks/results/cut.json
    python benchmarks/page_tables.py            writes the tables of all such files to the pages
    python benchmarks/page_tables.py --check    writes nothing, and fails if a page is stale

On a page, a table stands between the lines `<!-- table: cut -->` and `<!-- end of table -->`.
"""

import argparse
import importlib.metadata
import json
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

HERE = pathlib.Path(__file__).parent
PAGES = [HERE / "README.md", HERE.parent / "docs" / "why" / "step_cost.md"]
RESULTS = HERE / "results"

PLACE = re.compile(r"(<!-- table: ([\w-]+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
"""A table of the page: its opening line, its name, its text and its closing line."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--record`, which a benchmark passes on to its tables."""
    parser.add_argument("--record", action="store_true", help=f"keep the rows in {RESULTS.name}/")


class Table:
    """Prints a table row by row, and keeps its rows.

    Args:
        name: The name of the table on its page, and of its file.
        header: The names of the columns.
        record: Whether `keep` writes the file.
        keys: How many columns, from the left, tell rows apart. A row that is measured again
            replaces the one before it; rows that are not measured again stay.
    """

    def __init__(
        self, name: str, header: Sequence[str], record: bool = False, keys: int = 1
    ) -> None:
        self.path = RESULTS / f"{name}.json"
        self.header = list(header)
        self.record = record
        self.keys = keys
        self.rows: list[list[str]] = []
        for line in lines(self.header, []):
            print(line, flush=True)

    def add(self, *cells: Any) -> None:
        """Prints one row.

        Raises:
            ValueError: If it has not as many cells as the header.
        """
        row = [str(cell) for cell in cells]
        if len(row) != len(self.header):
            raise ValueError(f"{self.path.stem}: {len(self.header)} columns, but the row is {row}.")
        self.rows.append(row)
        print(lines(self.header, [row])[-1], flush=True)

    def keep(self) -> None:
        """Writes the rows to the file of the table, if they are to be recorded."""
        if not self.record:
            return
        before = json.loads(self.path.read_text()) if self.path.exists() else {}
        is_same = before.get("header") == self.header
        rows = {tuple(row[: self.keys]): row for row in before["rows"]} if is_same else {}
        commands = before["commands"] if is_same else []
        command = " ".join(["python", *sys.argv])
        kept = {
            "commands": [*(line for line in commands if line != command), command],
            "versions": {name: importlib.metadata.version(name) for name in ("keras_mtl", "keras")},
            "header": self.header,
            "rows": [*(rows | {tuple(row[: self.keys]): row for row in self.rows}).values()],
        }
        RESULTS.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns a table in Markdown, line by line."""
    head, *body = [f"| {' | '.join(cells)} |" for cells in [header, *rows]]
    return [head, "|---" * len(header) + "|", *body]


def check_names() -> None:
    """Checks that each table of the pages has a file, and each file one place on the pages.

    Raises:
        ValueError: If it is not so.
    """
    names = sorted(match[1] for page in PAGES for match in PLACE.findall(page.read_text()))
    files = sorted(path.stem for path in RESULTS.glob("*.json"))
    if names != files:
        raise ValueError(
            f"the pages have the tables {names}, and {RESULTS.name}/ the files {files}: "
            "each table needs one file and one place."
        )


def with_tables(text: str) -> str:
    """Returns the text of a page with the tables of the files in the place of those it has."""

    def fill(match: re.Match[str]) -> str:
        kept = json.loads((RESULTS / f"{match[2]}.json").read_text())
        table = "\n".join(lines(kept["header"], kept["rows"]))
        return f"{match[1]}\n{table}\n\n{match[4]}"

    return PLACE.sub(fill, text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the tables to the pages, or checks them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    is_check = parser.parse_args(arguments).check
    check_names()
    texts = {page: with_tables(page.read_text()) for page in PAGES}
    stale = [page for page, text in texts.items() if text != page.read_text()]
    if is_check and stale:
        names = ", ".join(page.name for page in stale)
        raise SystemExit(f"stale: {names}; run `python benchmarks/page_tables.py`.")
    for page in stale:
        page.write_text(texts[page])


if __name__ == "__main__":
    main()
