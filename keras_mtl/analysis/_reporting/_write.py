"""The files of a report: HTML, JSON and CSV."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Sequence

import jinja2
import markupsafe

from keras_mtl._version import __version__
from keras_mtl.analysis._reporting._cells import NONE, to_csv
from keras_mtl.analysis._reporting._page import Section, Table

SCHEMA_VERSION = 1
_SIGNS = {
    "\N{BLACK UP-POINTING TRIANGLE}": "good",
    "\N{BLACK DOWN-POINTING TRIANGLE}": "bad",
    "\N{BLACK DIAMOND}": "bad",
}


def write_files(path: pathlib.Path, title: str, sections: Sequence[Section]) -> None:
    """Writes a page, its numbers as JSON, and its tables as CSV; the page last.

    The files are made whole before they replace older ones of the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = _name_files(path, sections)
    for file, table in tables.items():
        _replace(path.with_name(file), _to_csv_text(table))
    json_path = path.with_suffix(".json")
    _replace(json_path, _to_json(title, sections, tables))
    files = {table.name: file for file, table in tables.items()}
    _replace(path, _to_html(title, sections, files, json_path.name))


def _name_files(path: pathlib.Path, sections: Sequence[Section]) -> dict[str, Table]:
    tables = [table for section in sections for table in section.tables if table.name]
    return {f"{path.stem}_{table.name}.csv": table for table in tables}


def _to_html(title: str, sections: Sequence[Section], files: dict[str, str], json_file: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        sections=sections,
        files=files,
        json_file=json_file,
        version=__version__,
        dash=NONE,
        class_of=_class_of,
    )


def _class_of(cell: str, kind: str) -> markupsafe.Markup:
    classes = [name for sign, name in _SIGNS.items() if cell.startswith(sign)]
    classes += [kind] if kind else []
    return markupsafe.Markup(f' class="{" ".join(classes)}"' if classes else "")


def _to_json(title: str, sections: Sequence[Section], files: dict[str, Table]) -> str:
    content = {
        "schema_version": SCHEMA_VERSION,
        "keras_mtl": __version__,
        "title": title,
        "files": list(files),
        "sections": [
            {
                "name": section.name,
                "heading": section.heading,
                "sentences": [part for part in section.parts if isinstance(part, str)],
                "tables": [
                    {
                        "name": table.name,
                        "caption": table.caption,
                        "columns": table.columns,
                        "rows": table.rows,
                    }
                    for table in section.tables
                    if table.name
                ],
            }
            for section in sections
        ],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _to_csv_text(table: Table) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(to_csv, table.columns))
    writer.writerows([[to_csv(value) for value in row] for row in table.rows])
    return buffer.getvalue()


def _replace(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    os.replace(temporary, path)
