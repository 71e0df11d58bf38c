"""Sets the equations of docstrings: `sum_i alpha_i g_i` with a sum sign, Greek and subscripts.

In a docstring an equation is an indented block that reads well in a terminal too. On the site,
names get their subscripts, `^2` is raised, and signs and Greek letters stand for their words.
Columns of a block stay where they are: each has the width of the docstring.
"""

import html
import re
from pathlib import Path

LETTERS = """
    alpha beta gamma delta epsilon eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi
    omega Gamma Delta Theta Lambda Pi Sigma Phi Psi Omega
"""
GREEK = {name: html.unescape(f"&{name};") for name in LETTERS.split()}
WORDS = GREEK | {"sqrt": "√", "grad": "∇", "infinity": "∞"}
SIGNS = {">=": "≥", "<=": "≤", "!=": "≠", "<-": "←", "->": "→", "+-": "±", " . ": " · "}
LARGE = {name: html.unescape(f"&{name};") for name in ("sum", "prod")} | {"grad": "∇"}

BLOCK = re.compile(r"(<pre><span></span><code)>(.*?)</code></pre>", re.DOTALL)
"""A block of code without a language, as MkDocs makes it."""

CODE = re.compile(r">>>|\w\.\w+\(|\bimport |\breturn\b|:$|f\"|\w\([^()]*\b\w+=\w", re.MULTILINE)
"""What only a program has."""

TOKEN = re.compile(
    rf"""(?<![A-Za-z0-9_])(?:
          (?P<base>{"|".join([*LARGE, *GREEK])}|[A-Za-z](?=[~']?_)|[A-Za-z]+(?=_{{))
          (?P<accent>[~']?)_(?P<index>{{[^{{}}]*}}|[A-Za-z0-9]+)
        | (?P<name>[A-Za-z][A-Za-z0-9]+)_(?P<letter>[a-z])(?![A-Za-z0-9_]))
      | \^(?P<power>\([^()]*\)|-?[A-Za-z0-9]+(?:_[A-Za-z0-9]+)?)
      | \b(?P<word>{"|".join(WORDS)})\b
      | (?P<sign>{"|".join(map(re.escape, SIGNS))})""",
    re.VERBOSE,
)


def is_equation(text: str) -> bool:
    """Returns whether a block is set as an equation: it has something to set, and is no program."""
    has_more_than_signs = any(match["sign"] is None for match in TOKEN.finditer(text))
    return has_more_than_signs and CODE.search(text) is None


def set_part(text: str) -> str:
    """Returns the HTML of a piece of an equation."""
    pieces, end = [], 0
    for match in TOKEN.finditer(text):
        pieces.append(html.escape(text[end : match.start()], quote=False))
        end = match.end()
        if match["base"]:
            letter = (LARGE | GREEK).get(match["base"], match["base"])
            index = set_part(match["index"].strip("{}"))
            pieces.append(f"{letter}{match['accent']}<sub>{index}</sub>")
        elif match["name"]:
            pieces.append(f"{match['name']}<sub>{match['letter']}</sub>")
        elif match["power"]:
            power = match["power"]
            power = power[1:-1] if power.startswith("(") else power
            pieces.append(f"<sup>{set_part(power)}</sup>")
        else:
            pieces.append((WORDS | SIGNS)[match["word"] or match["sign"]])
    return "".join([*pieces, html.escape(text[end:], quote=False)])


def set_line(line: str) -> str:
    """Returns the HTML of a line, whose columns keep their places."""
    columns = re.findall(r"\s*\S+(?: \S+)*(?:\s{2,}|$)|\s+$", line)
    return "".join(
        f'<span style="width: {len(column)}ch">{set_part(column)}</span>'
        if column[-2:].isspace() and column.strip()
        else set_part(column)
        for column in columns
    )


def set_page(page: str) -> str:
    """Returns the HTML of a page with its equations set."""

    def set_block(match: re.Match[str]) -> str:
        text = html.unescape(match[2])
        if "<" in match[2] or not is_equation(text):  # with tags: a block that has been highlighted
            return match[0]
        lines = "\n".join(set_line(line) for line in text.split("\n"))
        return f'{match[1]} class="equation">{lines}</code></pre>'

    return BLOCK.sub(set_block, page)


def set_equations(folder: Path) -> None:
    """Sets the equations of all pages of public names; those of rooms have tables of names.

    Args:
        folder: The folder of the HTML.
    """
    for path in (folder / "api").rglob("*.html"):
        if path.name != "index.html":
            path.write_text(set_page(path.read_text()))
