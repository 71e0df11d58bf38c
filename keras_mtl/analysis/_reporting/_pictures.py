"""Figures as images inside a page."""

import base64
import io
import re
import warnings
from typing import Any

import matplotlib

from keras_mtl.analysis._reporting._page import Picture, Table

_SETTINGS = {
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # each text of an image lists all of them
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_mtl",
    "svg.image_inline": True,
}
_PIXELS = 96  # per inch
_NO_METADATA = dict.fromkeys(["Date", "Creator", "Format", "Type"])
_PLACES = re.compile(rb'\b(?:d|x|y|transform)="[^"]*"')
_STYLE = re.compile(rb'\bstyle="([^"]*)"')
_BETWEEN = re.compile(rb">\s+<")
_NUMBER = re.compile(rb"-?\d+\.\d{3,}")


def make_picture(figure: Any, alt: str, sentence: str, *tables: Table) -> Picture:
    """Draws a Matplotlib figure as SVG, and puts it into a data URI.

    The same figure always gives the same bytes.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # Matplotlib measures texts by its own font, which lacks the letters of many languages. The
        # browser draws them with a font that has them.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = _share_styles(_BETWEEN.sub(b"><", _PLACES.sub(_round_all, buffer.getvalue())))
    source = f"data:image/svg+xml;base64,{base64.b64encode(text).decode('ascii')}"
    width = round(_PIXELS * figure.get_size_inches()[0])
    return Picture(source, alt, sentence, width, tables)


def _share_styles(svg: bytes) -> bytes:
    """Returns an image whose elements name their styles instead of repeating them."""
    names: dict[bytes, bytes] = {}

    def to_class(style: re.Match[bytes]) -> bytes:
        name = names.setdefault(style[1], f"k{len(names)}".encode("ascii"))
        return b'class="' + name + b'"'

    svg = _STYLE.sub(to_class, svg)
    rules = b"".join(b"." + name + b"{" + style + b"}" for style, name in names.items())
    return svg.replace(b"</style>", rules + b"</style>", 1)


def _round_all(attribute: re.Match[bytes]) -> bytes:
    # A hundredth of a point is finer than any screen.
    return _NUMBER.sub(_round, attribute[0]).replace(b" \n", b"\n")


def _round(number: re.Match[bytes]) -> bytes:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".").encode("ascii")
