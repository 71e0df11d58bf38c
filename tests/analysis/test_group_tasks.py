"""Groups of tasks: published matrices, all groups one by one, and planted groups."""

import itertools

import numpy as np
import pandas as pd
import pytest
from grouping_cases import CELEBA, CELEBA_RECEIVED, TASKONOMY, TASKONOMY_RECEIVED

from keras_mtl.analysis import group_tasks
from keras_mtl.analysis._grouping._partitions import find_partition
from keras_mtl.analysis._grouping._score import Affinities
from keras_mtl.analysis._grouping._swaps import find_good_partition

BUT_SHADOW = set(CELEBA) - {"shadow"}


@pytest.mark.parametrize(
    ("tasks", "received", "networks", "score", "groups"),
    [
        (
            TASKONOMY,
            TASKONOMY_RECEIVED,
            2,
            0.3217,
            [{"segmentation", "depth", "normals"}, {"keypoints", "edges"}],
        ),
        (
            TASKONOMY,
            TASKONOMY_RECEIVED,
            3,
            0.3487,
            [{"segmentation", "depth"}, {"depth", "normals"}, {"keypoints", "edges"}],
        ),
        (CELEBA, CELEBA_RECEIVED, 2, -99.4418, [{"shadow", "no beard"}, BUT_SHADOW]),
        (
            CELEBA,
            CELEBA_RECEIVED,
            3,
            -92.4384,
            [{"black hair", "brown hair"}, {"shadow", "no beard"}, BUT_SHADOW - {"brown hair"}],
        ),
        (
            CELEBA,
            CELEBA_RECEIVED,
            4,
            -86.8793,
            [
                {"black hair", "brown hair"},
                {"shadow", "no beard"},
                {"goatee", "mustache", "no beard"},
                {"black hair", "blond hair", "brown hair", "no beard", "rosy cheeks", "hat"},
            ],
        ),
    ],
)
def test_golden_groups_of_published_affinities(tasks, received, networks, score, groups):
    result = group_tasks(np.transpose(received), networks=networks, tasks=tasks)
    assert result.score == pytest.approx(score, abs=5e-5)
    assert set(map(frozenset, result.groups)) == set(map(frozenset, groups))
    assert result.is_optimal
    assert result.gap == 0


def score_of(values, alone, groups):
    """Returns the score by the definition, -inf if a task is in no group."""
    best = np.full(len(values), -np.inf)
    for group in groups:
        for task in group:
            helpers = [values[other, task] for other in group if other != task]
            best[task] = max(best[task], np.mean(helpers) if helpers else alone)
    return best.mean()


def best_by_trial(values, alone, networks):
    num_tasks = len(values)
    subsets = [
        subset
        for size in range(1, num_tasks + 1)
        for subset in itertools.combinations(range(num_tasks), size)
    ]
    return max(
        score_of(values, alone, groups)
        for count in range(1, networks + 1)
        for groups in itertools.combinations(subsets, count)
    )


def list_partitions(tasks):
    if not tasks:
        yield []
        return
    for partition in list_partitions(tasks[1:]):
        yield [(tasks[0],), *partition]
        for index, group in enumerate(partition):
            yield [*partition[:index], (tasks[0], *group), *partition[index + 1 :]]


@pytest.mark.parametrize("alone", [None, 0.0, 0.5])
@pytest.mark.parametrize(
    ("num_tasks", "networks"), [(2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (5, 2)]
)
def test_the_best_groups_are_those_of_all_groups(num_tasks, networks, alone):
    for seed in range(2):
        values = np.random.default_rng(seed).normal(size=(num_tasks, num_tasks))
        result = group_tasks(values, networks=networks, alone=alone)
        expected = best_by_trial(values, -np.inf if alone is None else alone, networks)
        assert result.score == pytest.approx(expected, abs=1e-9)
        groups = [[int(task) for task in group] for group in result.groups]
        score = score_of(values, -np.inf if alone is None else alone, groups)
        assert result.score == pytest.approx(score)
        assert np.mean(list(result.scores.values())) == pytest.approx(score)


@pytest.mark.parametrize("alone", [None, 0.2])
@pytest.mark.parametrize(("num_tasks", "networks"), [(2, 2), (4, 2), (6, 3), (7, 7)])
def test_the_best_partition_is_that_of_all_partitions(num_tasks, networks, alone):
    values = np.random.default_rng(num_tasks).normal(size=(num_tasks, num_tasks))
    result = group_tasks(values, networks=networks, alone=alone, overlap=False)
    single = -np.inf if alone is None else alone
    expected = max(
        score_of(values, single, partition)
        for partition in list_partitions(list(range(num_tasks)))
        if len(partition) <= networks
    )
    assert result.score == pytest.approx(expected, abs=1e-12)
    assert result.method == "dynamic program"
    assert sorted(task for group in result.groups for task in group) == sorted(result.tasks)
    assert len(result.groups) <= networks


def test_overlapping_groups_are_never_worse_than_a_partition():
    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=(6, 6))
        overlapping = group_tasks(values, networks=3)
        partition = group_tasks(values, networks=3, overlap=False)
        assert overlapping.score >= partition.score - 1e-9
        assert overlapping.score <= np.mean(Affinities(values, np.full(6, -np.inf)).bounds)


def plant(num_tasks, num_groups, seed, noise=0.1):
    draws = np.random.default_rng(seed)
    groups = draws.permutation(np.arange(num_tasks) % num_groups)
    same = (groups[:, None] == groups).astype(float)
    return same + noise * draws.normal(size=same.shape), groups


@pytest.mark.parametrize(("num_tasks", "num_groups"), [(16, 4), (50, 5), (60, 20), (600, 8)])
def test_planted_groups_of_many_tasks_are_recovered(num_tasks, num_groups):
    values, groups = plant(num_tasks, num_groups, seed=0)
    result = group_tasks(values, networks=num_groups)
    expected = {frozenset(map(str, np.flatnonzero(groups == group))) for group in range(num_groups)}
    assert set(map(frozenset, result.groups)) == expected
    assert result.method == "linkage and swaps"
    assert not result.is_optimal
    assert 0 < result.gap < 0.5


@pytest.mark.parametrize("alone", [-np.inf, 0.3])
def test_moves_and_swaps_reach_the_best_partition_nearly_always(alone):
    gaps = []
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=(9, 9))
        affinities = Affinities(values - np.diag(np.diag(values)), np.full(9, alone))
        good = affinities.total(find_good_partition(affinities, 4))
        best = affinities.total(find_partition(affinities, 4))
        assert good <= best + 1e-9
        gaps.append((best - good) / 9)
    assert np.mean(gaps) < 0.06


def test_the_best_move_and_swap_are_those_of_all():
    from keras_mtl.analysis._grouping._swaps import _Partition

    for seed, alone in enumerate([-np.inf, 0.1, 0.4]):
        draws = np.random.default_rng(seed)
        values = draws.normal(size=(7, 7))
        np.fill_diagonal(values, 0)
        affinities = Affinities(values, np.full(7, alone) + 0.1 * draws.normal(size=7))
        labels = np.array([0, 0, 1, 1, 1, 0, 2 if np.isfinite(alone) else 0])
        partition = _Partition(affinities, labels.copy(), 4)
        total = affinities.total(partition.list_groups())

        def total_of(labels, affinities=affinities):
            return affinities.total(_Partition(affinities, labels, 4).list_groups())

        gains = partition._move_gains()
        swaps = partition._swap_gains()
        pairs = partition._pair_gains()
        for task in range(7):
            for label in range(4):
                if labels[task] != label:
                    moved = labels.copy()
                    moved[task] = label
                    gain = max(total_of(moved) - total, -1e9)
                    assert max(gains[task, label], -1e9) == pytest.approx(gain)
            for other in range(7):
                if labels[task] != labels[other]:
                    swapped = labels.copy()
                    swapped[[task, other]] = labels[[other, task]]
                    assert swaps[task, other] == pytest.approx(total_of(swapped) - total)
                # Of three, the third one would be alone: a move does the same.
                is_small = labels[task] == labels[other] and np.sum(labels == labels[task]) <= 3
                if task != other and not is_small:
                    left = labels.copy()
                    left[[task, other]] = 3
                    gain = max(total_of(left) - total, -1e9)
                    assert max(pairs[task, other], -1e9) == pytest.approx(gain)


@pytest.mark.parametrize("overlap", [True, False])
def test_permuting_the_tasks_permutes_the_groups(overlap):
    values = np.random.default_rng(5).normal(size=(6, 6))
    names = np.array(list("fbdace"))
    order = np.random.default_rng(6).permutation(6)
    before = group_tasks(values, networks=3, alone=0, tasks=names, overlap=overlap)
    after = group_tasks(
        values[np.ix_(order, order)], networks=3, alone=0, tasks=names[order], overlap=overlap
    )
    assert set(map(frozenset, after.groups)) == set(map(frozenset, before.groups))
    for task in names:
        assert after.scores[task] == pytest.approx(before.scores[task])
        left = set(after.groups[after.servers[task]])
        assert left == set(before.groups[before.servers[task]])


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_tasks_that_do_not_help_each_other_are_alone(overlap, value):
    for num_tasks in (1, 2, 5):
        values = np.full((num_tasks, num_tasks), value)
        result = group_tasks(values, networks=num_tasks, alone=0, overlap=overlap)
        # Equal scores are broken by the smaller group.
        assert [len(group) for group in result.groups] == [1] * num_tasks
        assert result.score == 0


def test_the_direction_of_help_matters():
    # Task a helps c, which does not help back; b and c help nobody.
    values = pd.DataFrame(
        [[0, -1, 5], [-1, 0, -1], [-1, -1, 0]], index=list("abc"), columns=list("abc")
    )
    result = group_tasks(values, networks=3, alone=0)
    assert set(result.groups) == {("a",), ("b",), ("a", "c")}
    assert result.groups[result.servers["a"]] == ("a",)
    assert result.scores == {"a": 0, "b": 0, "c": 5}
    text = str(result)
    assert "c                 a           5" in text
    parts = group_tasks(values, networks=3, alone=0, overlap=False)
    assert set(parts.groups) == {("a", "c"), ("b",)}


def test_scores_alone_may_differ_by_task():
    values = np.full((3, 3), 0.5)
    result = group_tasks(values, networks=3, alone={"b": 1, "a": 0, "c": -np.inf}, tasks="bac")
    assert set(result.groups) == {("b",), ("a", "c")}


def test_one_network_trains_all_tasks():
    values = np.random.default_rng(7).normal(size=(5, 5))
    for overlap in (True, False):
        assert group_tasks(values, networks=1, overlap=overlap).groups == (tuple("01234"),)


def test_the_time_limit_ends_the_search_with_a_result():
    values = np.random.default_rng(8).normal(size=(11, 11))
    result = group_tasks(values, networks=4, seconds=0.05)
    assert not result.is_optimal
    assert result.gap > 0
    assert set(result.servers) == set(result.tasks)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_unit_of_the_affinities_changes_no_group(scale):
    values = np.random.default_rng(9).normal(size=(5, 5))
    expected = group_tasks(values, networks=2).groups
    assert group_tasks(values * scale, networks=2).groups == expected


NAN = np.nan


@pytest.mark.parametrize(
    ("affinity", "arguments", "message"),
    [
        ([[0, NAN], [1, 0]], {"tasks": "ba"}, "affinity of task 'b' to task 'a' is nan; expected"),
        ([[0, 1], [np.inf, 0]], {"tasks": "ba"}, "affinity of task 'a' to task 'b' is inf"),
        ([[0, 1, 2]], {}, r"affinity has shape \(1, 3\); expected \(tasks, tasks\)"),
        (np.zeros((0, 0)), {}, "affinity has no tasks"),
        ([[0]], {}, "there is one task, which can only be alone; pass its score as alone=0"),
        ([[0, 1], [1, 0]], {"networks": 0}, "networks is 0; expected a whole number"),
        ([[0, 1], [1, 0]], {"networks": 1.5}, "networks is 1.5; expected a whole number"),
        ([[0, 1], [1, 0]], {"alone": [0]}, "alone has 1 values; expected one, or 2"),
        ([[0, 1], [1, 0]], {"alone": NAN}, "alone is nan; expected finite scores"),
        (pd.DataFrame([[0]], index=["a"], columns=["b"]), {}, "affinity.*has the tasks"),
    ],
)
def test_what_are_no_affinities_is_refused(affinity, arguments, message):
    with pytest.raises(ValueError, match=message):
        group_tasks(affinity, **{"networks": 1, **arguments})
