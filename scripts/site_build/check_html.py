"""Checks the built site: links, anchors, and that a page loads nothing from elsewhere."""

import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements that a browser loads by itself, with the attribute that says from where."""


class Page(HTMLParser):
    """Collects the links, the anchors and the loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what an element links to, loads, or is called."""
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[key] for key in ("id", "name") if key in attributes}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag in LOADED and attributes.get("rel") != "canonical" and LOADED[tag] in attributes:
            self.loaded.append(attributes[LOADED[tag]])


def is_external(address: str) -> bool:
    """Returns whether an address leads out of the site."""
    return bool(urllib.parse.urlsplit(address).scheme) or address.startswith("//")


def find_faults(folder: Path) -> list[str]:
    """Returns a sentence for each broken link, missing anchor and file from elsewhere."""
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        faults += [f"{name} loads {it} from elsewhere" for it in page.loaded if is_external(it)]
        for address in {*page.links, *page.loaded}:
            if is_external(address):
                continue
            faults += [f"{name}: {fault}" for fault in faults_of(address, path, folder, pages)]
    return sorted({*faults})


def faults_of(address: str, path: Path, folder: Path, pages: dict[Path, Page]) -> list[str]:
    """Returns what is wrong with one address of a page: nothing, or one sentence."""
    parts = urllib.parse.urlsplit(address)
    target = path
    if parts.path:
        start = folder if parts.path.startswith("/") else path.parent
        target = (start / urllib.parse.unquote(parts.path).lstrip("/")).resolve()
        target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return [f"the link {address} leads nowhere"]
    anchor = urllib.parse.unquote(parts.fragment)
    is_known = target not in pages or anchor in pages[target].anchors
    return [] if not anchor or anchor == "__tabbed" or is_known else [f"{address}: no such anchor"]
