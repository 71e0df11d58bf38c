"""Good partitions of many tasks: average linkage, then moves and swaps while the score grows."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
import scipy.cluster.hierarchy
import scipy.spatial.distance

from keras_mtl.analysis._grouping._score import Affinities, Group
from keras_mtl.analysis._inputs._numbers import FloatArray

_FEW_TASKS = 60
_MAX_STEPS = 10_000
_SMALLEST_GAIN = 1e-10  # of the largest affinity: less is rounding


def find_good_partition(affinities: Affinities, networks: int) -> list[Group]:
    """Returns the best of all partitions that moves reach from a cut of the linkage tree.

    It starts from every number of groups; of many tasks from the largest number and its half.
    """
    num_tasks = affinities.num_tasks
    symmetric = (affinities.values + affinities.values.T) / 2
    distances = symmetric.max() - symmetric
    np.fill_diagonal(distances, 0.0)
    tree = scipy.cluster.hierarchy.linkage(
        scipy.spatial.distance.squareform(distances, checks=False), "average"
    )
    best: list[Group] = [tuple(range(num_tasks))]
    starts = {networks, max(networks // 2, 1)}
    if num_tasks <= _FEW_TASKS:
        starts = set(range(1, networks + 1))
    for num_groups in sorted(starts):
        labels = scipy.cluster.hierarchy.fcluster(tree, num_groups, "maxclust") - 1
        partition = _Partition(affinities, _repair(labels, affinities), networks)
        partition.improve()
        groups = partition.list_groups()
        if affinities.total(groups) > affinities.total(best):
            best = groups
    return best


def _repair(labels: npt.NDArray[np.intp], affinities: Affinities) -> npt.NDArray[np.intp]:
    """Returns labels in which tasks that may not be alone join the group that is closest."""
    labels = labels.copy()
    symmetric = affinities.values + affinities.values.T
    for task in range(len(labels)):
        if np.isneginf(affinities.alone[task]) and np.sum(labels == labels[task]) == 1:
            nearness = symmetric[task].astype(np.float64)
            nearness[task] = -np.inf
            labels[task] = labels[int(np.argmax(nearness))]
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.intp)


@dataclasses.dataclass
class _Partition:
    """Moves tasks between groups.

    Args:
        affinities: Scores groups.
        labels: The number of the group of each task, `[K]`.
        networks: The largest number of groups; some of them may be empty.
    """

    affinities: Affinities
    labels: npt.NDArray[np.intp]
    networks: int

    @functools.cached_property
    def _both(self) -> FloatArray:
        """How much two tasks help each other, both ways together, `[K, K]`."""
        return self.affinities.values + self.affinities.values.T

    def list_groups(self) -> list[Group]:
        """Returns the groups that are not empty."""
        return [tuple(np.flatnonzero(self.labels == label).tolist()) for label in set(self.labels)]

    def improve(self) -> None:
        """Changes the partition while its total grows: moves, then swaps, then pairs that leave."""
        least = _SMALLEST_GAIN * max(np.abs(self._both).max(), 1e-300)
        for _ in range(_MAX_STEPS):
            if not any(change(least) for change in (self._move, self._swap, self._leave)):
                return

    def _move(self, least: float) -> bool:
        """Moves the best task to the best group; returns whether the total has grown."""
        gains = self._move_gains()
        task, label = np.unravel_index(np.argmax(gains), gains.shape)
        if gains[task, label] > least:
            self.labels[task] = label
        return bool(gains[task, label] > least)

    def _swap(self, least: float) -> bool:
        """Lets the best two tasks change places; returns whether the total has grown."""
        gains = self._swap_gains()
        first, second = np.unravel_index(np.argmax(gains), gains.shape)
        if gains[first, second] > least:
            self.labels[[first, second]] = self.labels[[second, first]]
        return bool(gains[first, second] > least)

    def _leave(self, least: float) -> bool:
        """Lets the best pair found a group, which a move cannot where no task may be alone."""
        empty = np.flatnonzero(np.bincount(self.labels, minlength=self.networks) == 0)
        if not len(empty):
            return False
        gains = self._pair_gains()
        first, second = np.unravel_index(np.argmax(gains), gains.shape)
        if gains[first, second] > least:
            self.labels[[first, second]] = empty[0]
        return bool(gains[first, second] > least)

    def _sums(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Returns links `[K, G]` of tasks to groups, inner sums `[G]` and sizes `[G]`."""
        members = (self.labels[:, None] == np.arange(self.networks)).astype(np.float64)
        links = self._both @ members
        return links, np.einsum("kg,kg->g", members, links) / 2, members.sum(axis=0)

    def _move_gains(self) -> FloatArray:
        """Returns by how much the total grows if a task moves to a group, `[K, G]`."""
        links, inner, sizes = self._sums()
        alone, labels = self.affinities.alone, self.labels
        tasks = np.arange(len(labels))
        scores = self._scores(inner, sizes)
        without = self._without(links, inner, sizes)
        joined = (inner + links) / np.maximum(sizes, 1)
        joined = np.where(sizes == 0, alone[:, None], joined)
        with np.errstate(invalid="ignore"):
            gains = (without - scores[labels])[:, None] + joined - scores
        gains[tasks, labels] = -np.inf
        return np.where(np.isnan(gains), -np.inf, gains)

    def _scores(self, inner: FloatArray, sizes: FloatArray) -> FloatArray:
        """Returns the sum of the scores of each group, `[G]`; 0 for an empty one."""
        scores = inner / np.maximum(sizes - 1, 1)
        single = np.flatnonzero(sizes[self.labels] == 1)
        scores[self.labels[single]] = self.affinities.alone[single]
        return scores

    def _without(self, links: FloatArray, inner: FloatArray, sizes: FloatArray) -> FloatArray:
        """Returns the sum of the scores of each task's group after it has left, `[K]`."""
        labels = self.labels
        left = sizes[labels] - 1
        result = (inner[labels] - np.diagonal(links[:, labels])) / np.maximum(left - 1, 1)
        # Of two, the other one stays alone; of one, nobody stays.
        tasks = np.arange(len(labels))
        totals = np.bincount(labels, tasks, minlength=self.networks).astype(np.intp)
        other = np.where(left == 1, totals[labels] - tasks, tasks)
        return np.where(left == 1, self.affinities.alone[other], np.where(left == 0, 0.0, result))

    def _pair_gains(self) -> FloatArray:
        """Returns by how much the total grows if two tasks found a group, `[K, K]`."""
        links, inner, sizes = self._sums()
        labels = self.labels
        scores = self._scores(inner, sizes)[labels]
        leave = self._without(links, inner, sizes) - scores
        linked = np.diagonal(links[:, labels])
        # Two of one group: what is left are the pairs without either of them.
        left = sizes[labels][:, None] - 2
        rest = (inner[labels] - linked)[:, None] - linked + self._both
        together = np.where(left > 1, rest / np.maximum(left - 1, 1), -np.inf) - scores[:, None]
        same = labels[:, None] == labels
        gains = self._both + np.where(same, together, leave[:, None] + leave)
        np.fill_diagonal(gains, -np.inf)
        return np.where(np.isnan(gains), -np.inf, gains)

    def _swap_gains(self) -> FloatArray:
        """Returns by how much the total grows if two tasks change places, `[K, K]`."""
        links, _, sizes = self._sums()
        labels = self.labels
        # links_to[j, k]: of task j to the group of task k.
        links_to = links[:, labels]
        partners = np.maximum(sizes[labels] - 1, 1)
        change = links_to.T - np.diagonal(links_to)[:, None] - self._both
        # A task that leaves an empty place brings its own score with it.
        single = sizes[labels] == 1
        alone = self.affinities.alone
        with np.errstate(invalid="ignore"):
            own_place = alone[None, :] - alone[:, None]
        here = np.where(single[:, None], own_place, change / partners[:, None])
        gains = here + here.T
        gains[labels[:, None] == labels[None, :]] = -np.inf
        return np.where(np.isnan(gains), -np.inf, gains)
