"""The Markdown pages of the repository, as pages of the site: same text, other links."""

import os
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "why/contributing.md",
    "CHANGELOG.md": "why/changelog.md",
    "benchmarks/README.md": "why/benchmarks.md",
    "saved_models/README.md": "guides/saved_models.md",
}
"""Files outside of `docs/` that are pages, to their places on the site."""

LINKED = ("choose", "choosing", "guides", "index", "start", "systems")
"""Beginnings of the places of pages whose names in code style lead to the reference."""

LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
CODE = re.compile(r"(?<![\[`\w])`([^`\n]+)`(?![\]`])")


def source_files() -> dict[str, str]:
    """Returns each file that goes to the site, by its path, with its place there."""
    files = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*"))
        if path.suffix in {".md", ".png", ".css", ".js", ".svg"} and "recorded" not in path.parts
    }
    return files | ELSEWHERE


def place_of_example(path: str) -> str | None:
    """Returns the page of a file of `examples/`, or `None` for any other file."""
    if not path.startswith("examples/") or not path.endswith(".py"):
        return None
    return f"gallery/{path.removeprefix('examples/').removesuffix('.py')}.md"


def on_site(target: str, source: str, place: str, places: dict[str, str]) -> str:
    """Returns a link of a file as a link of its page.

    Args:
        target: The link, relative to the file.
        source: The path of the file in the repository.
        place: The path of its page on the site.
        places: The places of all files.

    Raises:
        ValueError: If the file that the link names does not exist or has no page.
    """
    if re.match(r"[a-z]+:|#", target):
        return target
    path, _, anchor = target.partition("#")
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    found_place = places.get(linked) or place_of_example(linked)
    if found_place is None or not (ROOT / linked).is_file():
        raise ValueError(f"{source}: the link {target} leads to no page of the site.")
    relative = posixpath.relpath(found_place, posixpath.dirname(place) or ".")
    return f"{relative}#{anchor}" if anchor else relative


def outside_code(text: str) -> list[tuple[str, bool]]:
    """Splits Markdown into parts, each with whether it is a block of code."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return [(part, part.startswith("```")) for part in parts]


def with_links(text: str, source: str, place: str, places: dict[str, str]) -> str:
    """Returns a page with its links rewritten; blocks of code stay as they are."""

    def rewrite(link: re.Match[str]) -> str:
        """Returns one link of the page."""
        return on_site(link[1], source, place, places)

    return "".join(
        part if is_code else LINK.sub(rewrite, part) for part, is_code in outside_code(text)
    )


def with_names_linked(text: str, place: str, names: dict[str, str]) -> str:
    """Returns a page in which each public name in code style leads to its page of the reference.

    Args:
        text: The page.
        place: Its path on the site.
        names: From a name, as it is written (`data.mixture`), to its page.
    """

    def link(span: re.Match[str]) -> str:
        """Returns a span of code, with its link if it is a public name or a call of one."""
        target = names.get(re.split(r"[(=]", span[1])[0].removeprefix("mtl.").strip())
        if target is None or "\n" in span[1]:
            return span[0]
        return f"[{span[0]}]({posixpath.relpath(target, posixpath.dirname(place) or '.')})"

    def link_line(line: str) -> str:
        """Returns a line; headings stay as they are, since their text is an anchor."""
        return line if line.startswith("#") else CODE.sub(link, line)

    return "".join(
        part if is_code else "\n".join(map(link_line, part.split("\n")))
        for part, is_code in outside_code(text)
    )


def write_pages(folder: Path, names: dict[str, str]) -> None:
    """Writes all pages of the repository into the folder, and what belongs to them."""
    places = source_files()
    for source, place in places.items():
        page = folder / place
        os.makedirs(page.parent, exist_ok=True)
        if not source.endswith(".md"):
            page.write_bytes((ROOT / source).read_bytes())
            continue
        text = with_links((ROOT / source).read_text(), source, place, places)
        if place.startswith(LINKED):
            text = with_names_linked(text, place, names)
        if place == "index.md":  # one page has no neighbors to show
            text = f"---\nhide:\n  - navigation\n---\n\n{text}"
        page.write_text(text)
