"""A contender of a study."""

import dataclasses
from collections.abc import Callable
from typing import Any

Groups = tuple[tuple[str, ...], ...]
"""The names of the tasks of each network."""

BASELINE = "one network per task"
"""The name of the baseline in tables."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """Describes a contender of a study; `searched` and `grouped` make them.

    Args:
        build: `build(tasks)` or `build(tasks, hp)`, which returns a new network or `BalancedModel`.
        groups: The names of the tasks of each of its networks; `None` for one network of all tasks.
        ratio: The largest ratio of two task weights, if trials search weights; `None` if the tasks
            keep theirs.

    Example:
        >>> Contender(lambda tasks: None).groups_of(("click", "price"))
        (('click', 'price'),)
    """

    build: Callable[..., Any]
    groups: Groups | None = None
    ratio: float | None = None

    def groups_of(self, names: tuple[str, ...]) -> Groups:
        """Returns the names of the tasks of each network, in the order of the tasks."""
        return self.groups or (names,)
