"""The best partition of the tasks, by a dynamic program over all subsets."""

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._grouping._score import Affinities, Group
from keras_mtl.analysis._inputs._numbers import FloatArray

MAX_TASKS = 14
"""Of a program with 3^14 pairs of a subset and a part of it."""


def find_partition(affinities: Affinities, networks: int) -> list[Group] | None:
    """Returns the best partition into at most so many groups; `None` if there is none.

    best[b, M] is the best score of the set M of tasks in at most b groups: the maximum over the
    groups S in M that hold the first task of M, of the score of S and best[b - 1, M without S].
    Sets are bit masks.
    """
    num_tasks = affinities.num_tasks
    scores = _score_all(affinities)
    sizes = _members(num_tasks).sum(axis=1)
    best = np.full((networks + 1, 2**num_tasks), -np.inf)
    best[:, 0] = 0.0
    choice = np.zeros(best.shape, np.intp)
    for mask in range(1, 2**num_tasks):
        parts = _subsets_with_first(mask)
        # Of equal scores the smaller group comes first, then the one with earlier tasks.
        parts = parts[np.lexsort((parts, sizes[parts]))]
        totals = scores[parts] + best[:-1, mask ^ parts]
        place = totals.argmax(axis=1)
        best[1:, mask] = totals[np.arange(networks), place]
        choice[1:, mask] = parts[place]
    if np.isneginf(best[networks, -1]):
        return None
    return _trace(choice, 2**num_tasks - 1, networks)


def _score_all(affinities: Affinities) -> FloatArray:
    """Returns the score of every group, by its bit mask; -inf for the empty one."""
    members = _members(affinities.num_tasks)
    sizes = members.sum(axis=1)
    pairs = np.einsum("si,si->s", members @ affinities.values, members)
    scores = pairs / np.maximum(sizes - 1, 1)
    single = np.flatnonzero(sizes == 1)
    scores[single] = affinities.alone[np.log2(single).round().astype(int)]
    scores[0] = -np.inf
    return np.asarray(scores)


def _members(num_tasks: int) -> FloatArray:
    """Returns 1 where a set holds a task, `[sets, tasks]`."""
    bits = (np.arange(2**num_tasks)[:, None] >> np.arange(num_tasks)) & 1
    return np.asarray(bits, np.float64)


def _subsets_with_first(mask: int) -> npt.NDArray[np.intp]:
    """Returns all subsets of a mask that hold its lowest bit."""
    first = mask & -mask
    subsets = np.array([first], np.intp)
    rest = mask ^ first
    while rest:
        bit = rest & -rest
        subsets = np.concatenate([subsets, subsets | bit])
        rest ^= bit
    return subsets


def _trace(choice: npt.NDArray[np.intp], mask: int, networks: int) -> list[Group]:
    groups = []
    while mask:
        part = int(choice[networks, mask])
        groups.append(tuple(bit for bit in range(part.bit_length()) if part >> bit & 1))
        mask, networks = mask ^ part, networks - 1
    return groups
