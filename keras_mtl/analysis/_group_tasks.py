"""Which tasks should share a network, from affinities of pairs."""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._grouping import _overlapping, _partitions
from keras_mtl.analysis._grouping._overlapping import find_overlapping
from keras_mtl.analysis._grouping._partitions import find_partition
from keras_mtl.analysis._grouping._score import Affinities, Group, keep_servers, simplify
from keras_mtl.analysis._grouping._swaps import find_good_partition
from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number, format_table


@dataclasses.dataclass(frozen=True)
class TaskGroups:
    """Holds groups of tasks. `print` shows them with the tasks that each of them serves.

    Args:
        tasks: The names of the K tasks.
        groups: The tasks that each network trains.
        servers: For each task, the position of the group that serves it.
        scores: For each task, the mean affinity of the other tasks of its group.
        score: The mean of these scores.
        bound: No grouping has a higher score; equal to `score` if that is the best one.
        method: "milp", "dynamic program" or "linkage and swaps".
        is_optimal: Whether no grouping with so many networks has a higher score.
        seconds: The time that the search took.

    Example:
        >>> grouping = group_tasks({"a": {"a": 0, "b": 2}, "b": {"a": 1, "b": 0}}, networks=1)
        >>> grouping.groups, grouping.score
        ((('a', 'b'),), 1.5)
    """

    tasks: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    servers: dict[str, int]
    scores: dict[str, float]
    score: float
    bound: float
    method: str
    is_optimal: bool
    seconds: float

    @property
    def gap(self) -> float:
        """How much higher the score of another grouping could be at most; 0 for the best one."""
        return self.bound - self.score

    def __str__(self) -> str:
        rows = []
        for index, group in enumerate(self.groups):
            served = [task for task in group if self.servers[task] == index]
            helpers = [task for task in group if self.servers[task] != index]
            mean = float(np.mean([self.scores[task] for task in served]))
            rows.append([", ".join(served), ", ".join(helpers) or "-", format_number(mean)])
        state = "the best one" if self.is_optimal else f"at most {format_number(self.gap)} too low"
        return "\n".join(
            [
                format_table(["serves", "trains also", "mean score"], rows),
                f"score {format_number(self.score)}, {state} ({self.method})",
            ]
        )


def group_tasks(
    affinity: Any,
    *,
    networks: int,
    alone: float | Mapping[str, float] | Iterable[float] | None = None,
    overlap: bool = True,
    tasks: Iterable[Any] | None = None,
    seconds: float = 60.0,
) -> TaskGroups:
    """Finds groups of tasks, one network for each group, with the highest mean affinity.

    With Z_ij the affinity of task i to task j, the score of task j in a group S is the mean of
    what the other tasks do for it, and each task is served by the group that is best for it:

        maximize over groups    mean_j max_{S holds j} mean_{i in S, i != j} Z_ij

    with at most `networks` groups. A group may train tasks that another group serves better, since
    these help the others (`overlap=False` forbids it).

    Choose it where more than one network can be trained and served, but not one for each task.
    Affinities say which tasks help each other; they do not say whether a group beats single-task
    networks of the same total size. Train the groups and these baselines with one budget, and
    compare them on validation data: "train apart" is a possible answer. Where heads differ, signed
    affinities miss relations that a trunk could use; pass a sign-free relatedness then.

    The search is exact up to 12 tasks (mixed-integer program), without overlap up to 14 (dynamic
    program over all subsets). Above, average linkage gives a partition, and tasks move and change
    places while the score grows; `bound` says how far it may be from the best. Equal scores go to
    the smaller group, then to the order of the tasks.

    Args:
        affinity: Z, `[K, K]`: row i holds what task i does for each other task, so that column j
            holds what task j receives. An array, a frame or a dict of dicts by task. The diagonal
            does not count. (The matrices that the authors of TAG published have rows and columns
            the other way around.)
        networks: The largest number of groups, at least 1.
        alone: The score of a task in a network of its own: one number for all, or one for each.
            0 is right for marginal affinities, which are gains over training alone. By default, no
            task is alone.
        overlap: Whether a task may be trained by several groups.
        tasks: The names of the K tasks, or the tasks. By default, their positions.
        seconds: The time after which the mixed-integer program gives its best result so far.

    Returns:
        A `TaskGroups`.

    Raises:
        TypeError: If an affinity is no number.
        ValueError: If an affinity is missing or infinite, shapes or names do not fit, or one task
            may not be alone.

    Example:
        >>> affinity = {
        ...     "views": {"views": 0, "buys": 3, "age": -1},
        ...     "buys": {"views": 2, "buys": 0, "age": -1},
        ...     "age": {"views": 1, "buys": -2, "age": 0},
        ... }
        >>> print(group_tasks(affinity, networks=2, alone=0))
        serves       trains also  mean score
        views, buys            -         2.5
        age                    -           0
        score 1.67, the best one (milp)

    Reference:
        Fifty et al. 2021, "Efficiently Identifying Task Groupings for Multi-Task Learning" (TAG),
        arXiv:2109.04617, whose notebook tries all groups; Zamir et al. 2018, arXiv:1804.08328, for
        selection by an integer program.
    """
    start = time.monotonic()
    affinities, names = _read(affinity, alone, tasks)
    if isinstance(networks, bool) or networks != int(networks) or networks < 1:
        raise ValueError(f"networks is {networks!r}; expected a whole number of at least 1.")
    networks = min(int(networks), len(names))
    groups, method, is_optimal = _search(affinities, networks, overlap, seconds)
    if overlap:
        groups = simplify(affinities, groups, networks)
    groups = keep_servers(affinities, groups)
    scores, servers = affinities.serve(groups)
    score = float(scores.mean())
    return TaskGroups(
        names,
        tuple(tuple(names[task] for task in group) for group in groups),
        dict(zip(names, servers, strict=True)),
        dict(zip(names, scores.tolist(), strict=True)),
        score,
        score if is_optimal else float(affinities.bounds.mean()),
        method,
        is_optimal,
        time.monotonic() - start,
    )


def _read(
    affinity: Any, alone: Any, tasks: Iterable[Any] | None
) -> tuple[Affinities, tuple[str, ...]]:
    values, names = read_matrices(affinity, tasks, "affinity")
    if not names:
        raise ValueError("affinity has no tasks; expected at least one.")
    values = values.copy()
    np.fill_diagonal(values, 0.0)
    for row, column in np.argwhere(~np.isfinite(values))[:1]:
        raise ValueError(
            f"the affinity of task {names[row]!r} to task {names[column]!r} is "
            f"{values[row, column]}; expected a finite number for each pair. Measure it, or leave "
            "a task out."
        )
    own_scores = np.full(len(names), -np.inf)
    if alone is not None:
        own_scores = read_numbers(choose(alone, names, "alone"), "alone")
        if np.isnan(own_scores).any() or (own_scores == np.inf).any():
            raise ValueError(f"alone is {alone}; expected finite scores, or -inf to forbid.")
    if len(names) == 1 and not np.isfinite(own_scores[0]):
        raise ValueError("there is one task, which can only be alone; pass its score as alone=0.")
    return Affinities(values, own_scores), names


def _search(
    affinities: Affinities, networks: int, overlap: bool, seconds: float
) -> tuple[list[Group], str, bool]:
    """Returns groups, the name of the method, and whether they are the best."""
    everything: FloatArray = affinities.alone
    if len(everything) == 1:
        return [(0,)], "milp" if overlap else "dynamic program", True
    if overlap and affinities.num_tasks <= _overlapping.MAX_TASKS:
        result = find_overlapping(affinities, networks, seconds)
        if result is not None:
            return result[0], "milp", result[1]
    if not overlap and affinities.num_tasks <= _partitions.MAX_TASKS:
        partition = find_partition(affinities, networks)
        if partition is not None:
            return partition, "dynamic program", True
    return find_good_partition(affinities, networks), "linkage and swaps", False
