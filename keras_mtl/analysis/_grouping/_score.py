"""How well groups serve their tasks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray

Group = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Affinities:
    """Holds affinities, and scores groups by them.

    Args:
        values: Z_ij, how much task i helps task j, `[K, K]`, with a diagonal of 0.
        alone: The score of each task in a network of its own, `[K]`; -inf where it is forbidden.
    """

    values: FloatArray
    alone: FloatArray

    @property
    def num_tasks(self) -> int:
        """The number of tasks."""
        return len(self.alone)

    @property
    def bounds(self) -> FloatArray:
        """The best score that each task can have: a mean is at most its largest term, `[K]`."""
        helpers = self.values.copy()
        np.fill_diagonal(helpers, -np.inf)
        return np.asarray(np.maximum(helpers.max(axis=0), self.alone))

    def score_group(self, group: Group) -> FloatArray:
        """Returns the score of each member: the mean of what the other members do for it."""
        members = list(group)
        if len(members) == 1:
            return self.alone[members]
        return np.asarray(self.values[np.ix_(members, members)].sum(axis=0) / (len(members) - 1))

    def serve(self, groups: Sequence[Group]) -> tuple[FloatArray, list[int]]:
        """Returns the score of each task, and its group: of equals, the smaller one."""
        scores = np.full(self.num_tasks, -np.inf)
        servers = [-1] * self.num_tasks
        for index in sorted(
            range(len(groups)), key=lambda index: (len(groups[index]), groups[index])
        ):
            for task, score in zip(groups[index], self.score_group(groups[index]), strict=True):
                # Of scores that differ by rounding alone, the smaller group's stays.
                least = scores[task] + (1e-12 * abs(scores[task]) if servers[task] >= 0 else 0.0)
                if servers[task] < 0 or score > least:
                    scores[task], servers[task] = score, index
        return scores, servers

    def allows(self, groups: Sequence[Group]) -> bool:
        """Returns whether no task is alone that must not be."""
        return all(len(group) > 1 or np.isfinite(self.alone[group[0]]) for group in groups)

    def total(self, groups: Sequence[Group]) -> float:
        """Returns the sum of the scores of all tasks; -inf if a task has no group."""
        return float(self.serve(groups)[0].sum())


def simplify(affinities: Affinities, groups: Sequence[Group], networks: int) -> list[Group]:
    """Returns smaller groups with the same score, where there are any.

    Tries to leave a member out of a group, and to give it a network of its own.
    """
    groups = keep_servers(affinities, groups)
    total = affinities.total(groups)
    for index, group in enumerate(groups):
        for task in group:
            rest = tuple(member for member in group if member != task)
            smaller = [*groups[:index], *groups[index + 1 :], *([rest] if rest else [])]
            for candidate in [smaller, [*smaller, (task,)]] if rest else []:
                least = total - 1e-12 * abs(total)
                is_allowed = len(candidate) <= networks and affinities.allows(candidate)
                if is_allowed and affinities.total(candidate) >= least:
                    return simplify(affinities, candidate, networks)
    return groups


def keep_servers(affinities: Affinities, groups: Sequence[Group]) -> list[Group]:
    """Returns the groups that serve a task, each once, in the order of their first members."""
    _, servers = affinities.serve(groups)
    return sorted({groups[index] for index in servers})
