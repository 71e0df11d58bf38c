"""Groups of related tasks, and whether they are groups at all."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial import distance
from sklearn.metrics import silhouette_score

Groups = tuple[tuple[str, ...], ...]

_LEAST_SILHOUETTE = 0.25
"""Below it, tasks of one group are hardly more related than tasks of different groups.

Chosen on five seeds of synthetic families: six tasks, labels of half of 3,000 rows. On 12 or 13
others, two groups were found, both exactly right, in 12 of 13 runs if the labels of a group are
correlated, and in 7 of 12 if its tasks share features alone; none of 25 runs with one group or
without any related tasks had groups.
"""


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Holds groups of tasks.

    Args:
        groups: The names of the tasks of each group.
        silhouette: How much more related tasks are within groups than between them, from -1 to 1.
    """

    groups: Groups
    silhouette: float

    @property
    def are_apart(self) -> bool:
        """Whether these are groups, and not an arbitrary cut."""
        sizes = {len(group) for group in self.groups}
        return self.silhouette >= _LEAST_SILHOUETTE and max(sizes) > 1


def find_groups(relatedness: Any, names: Sequence[str]) -> Grouping | None:
    """Finds groups by average linkage; their number is that with the highest silhouette.

    Args:
        relatedness: How much two tasks use the same variables, `[K, K]`, from 0 to 1.
        names: The names of the tasks.

    Returns:
        The groups; `None` for fewer than three tasks, or if a relation is missing.
    """
    matrix = np.asarray(relatedness, np.float64)
    if len(names) < 3 or not np.isfinite(matrix).all():
        return None
    distances = 1.0 - (matrix + matrix.T) / 2.0
    np.fill_diagonal(distances, 0.0)
    distances = np.maximum(distances, 0.0)
    tree = hierarchy.linkage(distance.squareform(distances, checks=False), "average")
    best: Grouping | None = None
    for number in range(2, len(names)):
        labels = hierarchy.fcluster(tree, number, "maxclust")
        if not 1 < len({*labels}) < len(names):
            continue
        silhouette = float(silhouette_score(distances, labels, metric="precomputed"))
        if best is None or silhouette > best.silhouette:
            members: dict[int, list[str]] = {}
            for name, label in zip(names, labels, strict=True):
                members.setdefault(label, []).append(name)
            best = Grouping(tuple(map(tuple, members.values())), silhouette)
    return best
