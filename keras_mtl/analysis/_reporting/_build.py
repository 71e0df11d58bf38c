"""The sections of a report in their order."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._reporting._page import Picture, Section, Table
from keras_mtl.analysis._reporting._read_tables import read_tables
from keras_mtl.analysis._reporting._sections._conflict import make_conflict
from keras_mtl.analysis._reporting._sections._curves import make_curves, make_weights
from keras_mtl.analysis._reporting._sections._gates import make_gates
from keras_mtl.analysis._reporting._sections._importance import make_importance
from keras_mtl.analysis._reporting._sections._relations import make_relations
from keras_mtl.analysis._reporting._sections._search import make_search
from keras_mtl.analysis._reporting._sections._trade_offs import make_trade_offs
from keras_mtl.analysis._reporting._sections._verdict import make_verdict


def _tables_of(name: str, heading: str) -> Callable[[Any], Section]:
    return lambda value: Section(name, heading, read_tables(value, name))


_MAKERS: dict[str, Callable[[Any], Section | None]] = {
    "compared": _tables_of("compared", "What was compared"),
    "failures": _tables_of("failures", "Trainings that failed"),
    "curves": make_curves,
    "weights": make_weights,
    "conflict": make_conflict,
    "relations": make_relations,
    "trade-offs": make_trade_offs,
    "search": make_search,
    "gates": make_gates,
    "importance": make_importance,
    "data": _tables_of("data", "Data"),
    "settings": _tables_of("settings", "Settings"),
}
"""By input of a page, in the order of the page, the function that makes its section."""


def build_sections(comparisons: Any, inputs: Mapping[str, Any]) -> list[Section]:
    """Returns the sections for which there is an input; the first one is always there.

    Args:
        comparisons: A comparison, several by contender, or `None`.
        inputs: By name in the order of the page, what its section shows, or `None`.

    Raises:
        TypeError: If an input has a wrong type.
    """
    named = _read_comparisons(comparisons)
    values = {**inputs, "trade-offs": named}
    sections: list[Section | None] = [make_verdict(named)]
    for name, make in _MAKERS.items():
        value = values.get(name)
        if value is not None and (not hasattr(value, "__len__") or len(value)):
            sections.append(make(value))
    return _rename_tables([section for section in sections if section is not None])


def _rename_tables(sections: list[Section]) -> list[Section]:
    """Returns sections whose tables differ in their names: titles of users may give equal ones."""
    counts: Counter[str] = Counter()

    def rename(table: Table) -> Table:
        counts[table.name] += 1
        count = counts[table.name]
        if count == 1 or not table.name:
            return table
        return dataclasses.replace(table, name=f"{table.name}_{count}")

    def rename_part(part: Any) -> Any:
        if isinstance(part, Picture):
            return dataclasses.replace(part, tables=tuple(map(rename, part.tables)))
        return rename(part) if isinstance(part, Table) else part

    return [
        dataclasses.replace(section, parts=tuple(map(rename_part, section.parts)))
        for section in sections
    ]


def _read_comparisons(comparisons: Any) -> dict[str, Comparison]:
    named = {"contender": comparisons} if isinstance(comparisons, Comparison) else comparisons or {}
    if not isinstance(named, Mapping):
        raise TypeError(
            f"comparisons is {type(comparisons).__name__}; expected a `Comparison`, or a dict of "
            "them by contender."
        )
    for name, comparison in named.items():
        if not isinstance(comparison, Comparison):
            raise TypeError(
                f"comparisons[{name!r}] is {type(comparison).__name__}; expected a `Comparison`, "
                "as `compare` returns it."
            )
    return {str(name): comparison for name, comparison in named.items()}
