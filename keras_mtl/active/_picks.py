"""Labels to buy."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_mtl.active._asking._distributions import IntArray


@dataclasses.dataclass(frozen=True)
class Pick:
    """Names one purchase: a row, and the labels that come for the price.

    Args:
        row: The position of the row.
        names: The labels: of tasks, or of columns (`"task.column"`); several for an offer of
            several together.
        cost: What they cost together.

    Example:
        >>> Pick(3, ("topic",), 1.5).names
        ('topic',)
    """

    row: int
    names: tuple[str, ...]
    cost: float


@dataclasses.dataclass(frozen=True)
class Picks:
    """Lists the labels to buy next, the most wanted first. `print` shows how many of which.

    Args:
        picks: The purchases.
        rule: How they were chosen, for the history of a pool. Defaults to `""`.

    Example:
        >>> picks = Picks((Pick(3, ("topic",), 1.5), Pick(0, ("topic", "spam"), 2.0)))
        >>> picks.cost, {name: rows.tolist() for name, rows in picks.rows().items()}
        (3.5, {'topic': [3, 0], 'spam': [0]})
    """

    picks: tuple[Pick, ...]
    rule: str = ""

    def __len__(self) -> int:
        return len(self.picks)

    def __iter__(self) -> Iterator[Pick]:
        return iter(self.picks)

    @property
    def cost(self) -> float:
        """What all of them cost together."""
        return float(sum(pick.cost for pick in self.picks))

    def rows(self) -> dict[str, IntArray]:
        """Returns the positions of the rows to label, by task or `"task.column"`."""
        rows: dict[str, list[int]] = {}
        for pick in self.picks:
            for name in pick.names:
                rows.setdefault(name, []).append(pick.row)
        return {name: np.array(positions, "int64") for name, positions in rows.items()}

    def __str__(self) -> str:
        counts = ", ".join(f"{name} of {len(rows)} rows" for name, rows in self.rows().items())
        return f"labels to buy for {self.cost:g}: {counts or 'none'}"
