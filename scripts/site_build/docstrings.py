"""An extension of Griffe, which reads docstrings for MkDocs: titles that it does not know."""

import re
from typing import Any

import griffe

from site_build.api_pages import identifiers_of_names

TITLES = {
    r"^( *)Example:$": r"\1Examples:",
    r"^( *)Call arguments:$": r"\1Other Parameters: Call arguments",
    r"^( +(?:[\w*]+, )+[\w*]+,)\n +(?=[\w*]+[\w*, ]*: )": r"\1 ",  # names that go on in a new line
}
"""What a line of a docstring here is called in the Google style of Griffe."""

GUIDE = re.compile(r"^( *)Guide:\n((?:\1 {4}.*\n?)+)", re.MULTILINE)


def as_list(guide: re.Match[str]) -> str:
    """Returns a section `Guide:` with one item per label, since its lines are no paragraph."""
    indent = guide[1] + " " * 4
    lines = re.sub(rf"^{indent}(\w[\w ]*):", rf"{indent}- **\1:**", guide[2], flags=re.MULTILINE)
    return f"{guide[1]}Guide:\n{lines}"


SOURCES = {
    r"(?<![\w/\[])arXiv:(\d{4}\.\d{4,5})": r"[arXiv:\1](https://arxiv.org/abs/\1)",
    r"(?<![\w/\[])doi:(10\.\d+/[^\s,;)]*[\w-])": r"[doi:\1](https://doi.org/\1)",
}
"""How a docstring names a paper, to the link of it."""

NAME = re.compile(r"(?<![\[`\w])`([\w.]+)`(?![\]`])")


def linked(span: re.Match[str]) -> str:
    """Returns a public name in code style as a link to its page; other code as it is."""
    identifier = identifiers_of_names().get(span[1])
    return f"[{span[0]}][{identifier}]" if identifier else span[0]


class KnownTitles(griffe.Extension):
    """Renames the sections of each docstring and links names and papers, before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of an object, if it has one."""
        if obj.docstring is None:
            return
        text = obj.docstring.value
        for pattern, replacement in (TITLES | SOURCES).items():
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        obj.docstring.value = NAME.sub(linked, GUIDE.sub(as_list, text))
