"""Whether rules can hold together."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any


def check_rules(rules: Sequence[Any]) -> None:
    """Checks that rules can all hold, without an output that may never be true.

    Raises:
        ValueError: If rules of order make a cycle, one output implies another that excludes it, or
            exactly one of some outputs is true and at most one of more. The message names the
            rules.
    """
    above: dict[str, dict[str, str]] = {}
    for rule in rules:
        for lower, upper in rule.edges():
            above.setdefault(lower, {}).setdefault(upper, rule.name)
    for start in above:
        cycle = _way(above, start, start)
        if cycle:
            raise ValueError(
                f"the rules {_names(above, cycle)} make a cycle, {' <= '.join(cycle)}: all "
                "of these would be equal. Leave one of the rules out."
            )
    groups = [(rule.name, *group) for rule in rules if (group := rule.exclusive()) is not None]
    for name, members, _ in groups:
        for lower in sorted(members):
            for upper in sorted(members - {lower}):
                way = _way(above, lower, upper)
                if way:
                    raise ValueError(
                        f"the rules {[*_names(above, way), name]} contradict each other: {lower!r} "
                        f"implies {upper!r}, and at most one of {sorted(members)} is true, so that "
                        f"{lower!r} never is. Leave one of the rules out."
                    )
    for name, members, is_exact in groups:
        for other, larger, _ in groups:
            if is_exact and members < larger:
                raise ValueError(
                    f"the rules {[name, other]} contradict each other: exactly one of "
                    f"{sorted(members)} is true, and at most one of {sorted(larger)}, so that "
                    f"{sorted(larger - members)} never are. Leave one of the rules out."
                )


def _way(above: Mapping[str, Mapping[str, str]], start: str, end: str) -> list[str]:
    """Returns a way of at least one step along the edges; an empty one if there is none."""
    pending, visited = [[start]], set()
    while pending:
        way = pending.pop()
        for upper in above.get(way[-1], {}):
            if upper == end:
                return [*way, upper]
            if upper not in visited:
                visited.add(upper)
                pending.append([*way, upper])
    return []


def _names(above: Mapping[str, Mapping[str, str]], way: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(above[lower][upper] for lower, upper in itertools.pairwise(way)))
