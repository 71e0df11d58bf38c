"""Which label gets the next part of a budget."""

from collections.abc import Mapping, Sequence

import numpy as np


class Turns:
    """Divides a budget among labels by turns: next is the one on which the least was spent.

    Args:
        shares: How much of the budget each label gets, by name, in any unit; `None` for one budget
            for all of them together.
        generator: Draws who is first among equals.
    """

    def __init__(self, shares: Mapping[str, float] | None, generator: np.random.Generator) -> None:
        names = [name for name, share in (shares or {}).items() if share > 0]
        self._shares = shares
        self._order: list[str] = [names[i] for i in generator.permutation(len(names))]
        self._spent = dict.fromkeys(names, 0.0)

    def next(self) -> str:
        """Returns the name whose turn it is; `""` where all names share one budget.

        Raises:
            StopIteration: If all names were dropped.
        """
        if self._shares is None:
            return ""
        if not self._order:
            raise StopIteration
        shares = self._shares
        ratios = [(self._spent[name] / shares[name], i) for i, name in enumerate(self._order)]
        return self._order[min(ratios)[1]]

    def pay(self, names: Sequence[str], cost: float) -> None:
        """Notes that some labels were bought together; each of them has paid an equal part."""
        for name in names:
            self._spent[name] = self._spent.get(name, 0.0) + cost / len(names)

    def drop(self, name: str) -> None:
        """Leaves a name out from now on: nothing that fits the rest of the budget is left of it."""
        self._shares = self._shares if name else {}
        self._order = [other for other in self._order if other != name]
