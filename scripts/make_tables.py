"""Writes the tables of methods from the `Guide:` section of each method's docstring.

    python scripts/make_tables.py            writes them
    python scripts/make_tables.py --check    writes nothing, and fails with the names of stale files

The methods are the classes of `keras_mtl.balancers.__all__` but for their bases, and the functions
of `keras_mtl.architectures.__all__`. A Guide has these labels, each once and in this order:

    Guide:
        Kind: ...              (architectures only: one of `ARCHITECTURE_KINDS`)
        Shares: ...            (architectures only)
        Choose it when: ...
        Not when: ...
        Source: ...

The kind of a balancer, its needs and its backward passes are derived from its class. Tables are
ordered by kind, then by the year of the source, then by name.

A further table, in `keras_mtl/_lazy_classes.py`, lists the module of each class that Keras saves.
It is read from the decorators in the source.
"""

import argparse
import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_mtl import architectures, balancers
from keras_mtl.training._steps import choose_step

ROOT = Path(__file__).parents[1]

ADVICE = ("Choose it when", "Not when", "Source")

ARCHITECTURE_KINDS = {
    "nothing or one body": "Nothing or one body shared",
    "mixed features": "Features mixed between the tasks' bodies",
    "experts": "Experts",
    "attention and conditioning": "Attention and conditioning",
    "branching": "Learned branching",
    "low rank and sparsity": "Low rank and sparsity",
    "frozen bodies": "Frozen bodies",
    "chains of tasks": "Chains of tasks",
    "dense prediction": "Dense prediction",
}
"""The label `Kind:` of an architecture to its heading, in the order of the tables."""

BALANCER_KINDS = {
    "losses": "Rules on the losses",
    "Gramian": "Rules on the Gramian of the gradients",
    "gradients": "Rules on the gradients themselves",
    "Gramian, other data": "Rules with a second batch",
}
"""What a balancer needs to its heading, in the order of the tables."""

STATISTICS = {
    balancers.LossBalancer: "losses",
    balancers.GramianBalancer: "Gramian",
    balancers.GradientBalancer: "gradients",
}

PASSES = {
    "losses": "1",
    "parameters": "K",
    "samples": "2 K + 1",
    "look_ahead": "2 K and a forward pass",
    "inner_steps": "2 K and T plain steps",
}
"""The kind of a step (see `choose_step`) to its backward passes through the shared part."""

SOURCES = {
    r", arXiv:(\S+)$": "https://arxiv.org/abs/",
    r", doi:(\S+)$": "https://doi.org/",
    r" \(OpenReview (\w+)\)$": "https://openreview.net/forum?id=",
}
"""How a source names its page, to the address of such pages."""


@dataclasses.dataclass(frozen=True)
class Method:
    """Holds the row of a method: its heading, and its text for each column."""

    name: str
    heading: str
    cells: Mapping[str, str]

    @property
    def year(self) -> int:
        """The year of the source; 0 for a method of this package, which stands first."""
        year = re.search(r"\b(?:19|20)\d\d\b", self.cells["source"])
        return int(year[0]) if year else 0


def read_guide(method: Callable[..., Any], labels: Sequence[str]) -> dict[str, str]:
    """Reads the `Guide:` section of a docstring as a dict from label, in lower case, to text.

    Raises:
        ValueError: If the section is missing or doubled, or has other labels than these.
    """
    docstring = inspect.cleandoc(method.__doc__ or "") + "\n"
    sections = re.findall(r"^Guide:\n((?: {4}.*\n)*)", docstring, re.MULTILINE)
    if len(sections) != 1:
        raise ValueError(
            f"{method.__name__}: the docstring must have one section 'Guide:'; "
            f"received {len(sections)}."
        )
    entries: list[tuple[str, str]] = []
    for line in sections[0].splitlines():
        if line.startswith(" " * 8) and entries:  # continues the text above
            label, text = entries.pop()
            entries.append((label, f"{text} {line.strip()}"))
        else:
            label, _, text = line.strip().partition(":")
            entries.append((label, text.strip()))
    received = [label for label, text in entries if text]
    if received != [*labels]:
        raise ValueError(
            f"{method.__name__}: the section 'Guide:' must have the labels {[*labels]}, each once, "
            f"in this order and with a text; received {received}."
        )
    return {label.lower(): text for label, text in entries}


def with_defaults(balancer_class: type[balancers.Balancer]) -> balancers.Balancer:
    """Returns a balancer with its default arguments, on which its needs may depend.

    Where an argument is required, `__init__` is left out: the needs are then those of the class.
    """
    parameters = inspect.signature(balancer_class).parameters.values()
    is_required = [
        parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        for parameter in parameters
    ]
    return balancer_class.__new__(balancer_class) if any(is_required) else balancer_class()


def needs_of(balancer: balancers.Balancer) -> str:
    """Returns what a balancer needs of the tasks, and whether of a second batch."""
    statistic = next(text for kind, text in STATISTICS.items() if isinstance(balancer, kind))
    return f"{statistic}, other data" if balancer.needs.second_batch else statistic


def passes_of(balancer: balancers.Balancer) -> str:
    """Returns the backward passes of a step at the parameters, by the kind of the step."""
    passes = PASSES[choose_step(balancer, "parameters")]
    return f"{passes} and a forward pass" if balancer.needs.losses_after else passes


def read_balancer(balancer_class: type[balancers.Balancer]) -> Method:
    """Reads the row of a balancer."""
    guide = read_guide(balancer_class, ADVICE)
    balancer = with_defaults(balancer_class)
    needs = needs_of(balancer)
    cells = {"needs": needs, "backward passes": passes_of(balancer), **guide}
    return Method(balancer_class.__name__, BALANCER_KINDS[needs], cells)


def read_architecture(build: Callable[..., Any]) -> Method:
    """Reads the row of an architecture.

    Raises:
        ValueError: If its kind is none of `ARCHITECTURE_KINDS`.
    """
    guide = read_guide(build, ("Kind", "Shares", *ADVICE))
    kind = guide.pop("kind")
    if kind not in ARCHITECTURE_KINDS:
        raise ValueError(
            f"{build.__name__}: 'Kind:' must be one of {[*ARCHITECTURE_KINDS]}; received {kind!r}."
        )
    return Method(build.__name__, ARCHITECTURE_KINDS[kind], guide)


def all_balancers() -> list[Method]:
    """Reads the rows of all balancers, in the order of the tables."""
    public = [getattr(balancers, name) for name in balancers.__all__]
    bases = {balancers.Balancer, *STATISTICS}
    classes = [
        member
        for member in public
        if issubclass(member, balancers.Balancer) and member not in bases
    ]
    return in_order([*map(read_balancer, classes)], BALANCER_KINDS)


def all_architectures() -> list[Method]:
    """Reads the rows of all architectures, in the order of the tables."""
    builders = [getattr(architectures, name) for name in architectures.__all__]
    return in_order([*map(read_architecture, builders)], ARCHITECTURE_KINDS)


def in_order(methods: Sequence[Method], kinds: Mapping[str, str]) -> list[Method]:
    """Sorts methods by kind, then by the year of the source, then by name."""
    headings = [*kinds.values()]
    return sorted(
        methods,
        key=lambda method: (headings.index(method.heading), method.year, method.name.lower()),
    )


def by_heading(methods: Sequence[Method]) -> list[tuple[str, list[Method]]]:
    """Groups methods in the order of the tables by their headings."""
    groups = itertools.groupby(methods, key=lambda method: method.heading)
    return [(heading, [*members]) for heading, members in groups]


def with_link(source: str) -> str:
    """Returns a source in Markdown: where it names a page, author and year link to it."""
    for pattern, address in SOURCES.items():
        if page := re.search(pattern, source):
            return f"[{source[: page.start()]}]({address}{page[1]})"
    return source


def markdown_table(methods: Sequence[Method], noun: str) -> str:
    """Returns a table of methods in Markdown, with a column for each cell."""
    header = [noun, *methods[0].cells]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for method in methods:
        cells = {**method.cells, "source": with_link(method.cells["source"])}
        texts = [cell.replace("|", r"\|") for cell in cells.values()]
        lines.append(f"| `{method.name}` | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def markdown_sections(methods: Sequence[Method], noun: str) -> str:
    """Returns a heading and a table in Markdown for each kind of method."""
    sections = [
        f"## {heading}\n\n{markdown_table(members, noun)}"
        for heading, members in by_heading(methods)
    ]
    return "\n".join(sections)


def plain_table(methods: Sequence[Method], widths: Mapping[str, int]) -> str:
    """Returns a table in plain text, as an indented block of a docstring.

    Args:
        methods: The methods, in the order of the table.
        widths: For each column beside the name, how many characters a line of it takes.
    """
    name_width = max(len(method.name) for method in methods)
    blocks = []
    for heading, members in by_heading(methods):
        lines = [f"    {heading}"]
        for method in members:
            cells = [[method.name.ljust(name_width)]]
            cells += [textwrap.wrap(method.cells[column], widths[column]) for column in widths]
            for texts in itertools.zip_longest(*cells, fillvalue=""):
                padded = map(str.ljust, texts, [name_width, *widths.values()])
                lines.append(f"      {' '.join(padded)}".rstrip())
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def between_markers(page: str, noun: str, contents: str) -> str:
    """Replaces what stands between the markers of a page in Markdown."""
    begin = f"<!-- begin: {noun}s, by scripts/make_tables.py -->\n"
    end = f"<!-- end: {noun}s -->\n"
    before, _, rest = page.partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_end:
        raise ValueError(f"the page has no markers {begin.strip()} and {end.strip()}.")
    return f"{before}{begin}\n{contents}\n{end}{after}"


def in_docstring(module: str, table: str) -> str:
    """Replaces the one indented block of a module's docstring."""
    opening, docstring, rest = module.split('"""', 2)
    lines = docstring.splitlines(keepends=True)
    indented = [i for i, line in enumerate(lines) if line.startswith("    ")]
    before, after = lines[: indented[0]], lines[indented[-1] + 1 :]
    return '"""'.join([opening, "".join([*before, table, *after]), rest])


def saved_classes() -> dict[str, str]:
    """Returns the module of each class that Keras saves; `import keras_mtl` imports none."""
    modules = {}
    package = ROOT / "keras_mtl"
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        if "register_keras_serializable" not in path.read_text():
            continue
        modules |= {
            node.name: module
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.ClassDef)
            and any("keras_serializable" in ast.unparse(line) for line in node.decorator_list)
        }
    return dict(sorted(modules.items()))


def with_saved_classes(module: str) -> str:
    """Replaces what stands between the markers of the module that lists saved classes."""
    begin, end = "# begin: classes, by scripts/make_tables.py\n", "# end: classes\n"
    before, _, rest = module.partition(begin)
    lines = [f'    "{name}": "{place}",\n' for name, place in saved_classes().items()]
    return "".join([before, begin, "_MODULES = {\n", *lines, "}\n", end, rest.partition(end)[2]])


def make_files() -> dict[Path, str]:
    """Returns each file that holds a table, with the contents that it should have."""
    lazy = ROOT / "keras_mtl/_lazy_classes.py"
    files = {lazy: with_saved_classes(lazy.read_text())}
    for noun, methods, page, module, widths in (
        (
            "architecture",
            all_architectures(),
            ROOT / "docs/choosing_an_architecture.md",
            ROOT / "keras_mtl/architectures/__init__.py",
            {"shares": 36, "choose it when": 35},
        ),
        (
            "balancer",
            all_balancers(),
            ROOT / "docs/choosing_a_balancer.md",
            ROOT / "keras_mtl/balancers/__init__.py",
            {"backward passes": 22, "choose it when": 52},
        ),
    ):
        files[page] = between_markers(page.read_text(), noun, markdown_sections(methods, noun))
        files[module] = in_docstring(module.read_text(), plain_table(methods, widths))
    return files


def stale_files() -> list[str]:
    """Returns the names of the files whose tables are not those of the docstrings."""
    return [
        str(path.relative_to(ROOT))
        for path, contents in make_files().items()
        if path.read_text() != contents
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the tables, or checks them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    if not parser.parse_args(arguments).check:
        for path, contents in make_files().items():
            path.write_text(contents)
    elif stale := stale_files():
        raise SystemExit(f"stale: {', '.join(stale)}; run `python scripts/make_tables.py`.")


if __name__ == "__main__":
    main()
