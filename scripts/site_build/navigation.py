"""The navigation of the site: `nav` of `mkdocs.yml`, with the parts that are written by machine."""

import re
from pathlib import Path


def title_of(page: Path) -> str:
    """Returns the first heading of a page, without marks of code."""
    heading = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    if heading is None:
        raise ValueError(f"{page.name}: the page has no heading.")
    return heading[1].replace("`", "")


def pages_below(folder: Path, sources: Path) -> list[object]:
    """Returns the pages of a folder with their titles: `index.md` first, then by name."""
    files = sorted(folder.glob("*.md"), key=lambda page: (page.name != "index.md", page.name))
    return [{title_of(page): page.relative_to(sources).as_posix()} for page in files]


def complete(nav: list[object], parts: dict[str, list[object]], sources: Path) -> list[object]:
    """Returns the navigation with `{"Reference": "(generated)"}` and `"systems/"` filled in.

    Args:
        nav: The navigation as `mkdocs.yml` has it. An entry that is the name of a folder, ending in
            `/`, stands for all pages of the folder, and goes if there are none.
        parts: What stands for each entry `(generated)`, by its title.
        sources: The folder of the pages.

    Raises:
        ValueError: If a page of the repository is in no entry.
    """
    filled = []
    for entry in nav:
        ((title, value),) = entry.items()
        if value == "(generated)":
            value = parts[title]
        elif isinstance(value, str) and value.endswith("/"):
            value = pages_below(sources / value, sources)
        if value:
            filled.append({title: value})
    text = str(filled)
    lost = [
        path.relative_to(sources).as_posix()
        for path in sorted(sources.rglob("*.md"))
        if f"'{path.relative_to(sources).as_posix()}'" not in text
    ]
    if lost:
        raise ValueError(f"mkdocs.yml: no entry of `nav` has the pages {lost}.")
    return filled
