"""Pages of reports as tests read them."""

import html.parser
from typing import Any

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page: its elements with their attributes and texts, and whether all tags close.

    Args:
        text: The HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        element: tuple[str, dict[str, str | None], list[str]] = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element."""
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        """Adds a text to all elements that are open."""
        for _, _, texts in self._open:
            texts.append(data)

    def texts(self, tag: str) -> list[str]:
        """Returns the texts of all elements with a tag."""
        return ["".join(texts).strip() for name, _, texts in self.elements if name == tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Returns the attributes of all elements with a tag."""
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def tables(self) -> dict[str, list[list[str]]]:
        """Returns the cells of all tables by caption, the header first."""
        tables: dict[str, list[list[str]]] = {}
        rows: Any = None
        for tag, _, texts in self.elements:
            text = "".join(texts).strip()
            if tag == "caption":
                rows = tables.setdefault(text, [])
            elif tag == "tr":
                rows.append([])
            elif tag in ("th", "td"):
                rows[-1].append(text)
        return tables
