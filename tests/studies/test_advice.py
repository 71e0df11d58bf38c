"""The parts of an advice: groups, rules, budget, answer; and advice as a whole, on known truth."""

import dataclasses
import types

import keras
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from keras_mtl import Task, architectures, datasets, studies
from keras_mtl.studies._advice._answer import find_answer
from keras_mtl.studies._advice._fit_budget import fit_budget
from keras_mtl.studies._advice._groups import find_groups
from keras_mtl.studies._advice._pilot import Pilot, merge_columns, run_pilot
from keras_mtl.studies._advice._short_list import make_short_list
from keras_mtl.studies._contenders._contender import BASELINE, Contender
from keras_mtl.studies._contenders._read import read_networks
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._trainings._record import write_json


def blocks(sizes, within, between, noise=0.0, seed=0):
    """Returns a matrix of relatedness with planted groups, and the group of each task."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    matrix = np.where(labels[:, None] == labels, within, between).astype(float)
    rng = np.random.default_rng(seed)
    wiggle = rng.normal(0.0, noise, matrix.shape)
    matrix += (wiggle + wiggle.T) / 2.0
    np.fill_diagonal(matrix, 1.0)
    return matrix, labels


@pytest.mark.parametrize("sizes", [(2, 2), (3, 4), (2, 2, 3), (5, 1), (4, 4, 4, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_found_with_their_number(sizes, seed):
    matrix, labels = blocks(sizes, 0.7, 0.3, noise=0.05, seed=seed)
    names = [f"t{i}" for i in range(len(labels))]
    grouping = find_groups(matrix, names)
    numbers = {name: i for i, group in enumerate(grouping.groups) for name in group}
    assert adjusted_rand_score(labels, [numbers[name] for name in names]) == 1.0
    assert grouping.are_apart


def test_permuted_tasks_permute_the_groups():
    matrix, _ = blocks((2, 3), 0.7, 0.3, noise=0.05)
    names = list("abcde")
    order = [3, 0, 4, 2, 1]
    turned = find_groups(matrix[np.ix_(order, order)], [names[i] for i in order])
    assert {frozenset(g) for g in turned.groups} == {
        frozenset(g) for g in find_groups(matrix, names).groups
    }


def test_tasks_that_are_alike_are_no_groups():
    matrix, _ = blocks((5,), 0.6, 0.6, noise=0.01)
    assert not find_groups(matrix, list("abcde")).are_apart


def test_two_tasks_and_missing_relations_have_no_groups():
    assert find_groups(np.eye(2), ["a", "b"]) is None
    matrix = np.full((3, 3), np.nan)
    assert find_groups(matrix, ["a", "b", "c"]) is None


def test_columns_are_merged_to_their_task():
    task = Task.multilabel("tox", columns=["a", "b"])
    tasks = [task, Task.regression("price")]
    matrix = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.4], [0.2, 0.4, 1.0]])
    merged = merge_columns(matrix, ["tox/a", "tox/b", "price"], tasks)
    np.testing.assert_allclose(merged, [[0.75, 0.3], [0.3, 1.0]])


def build(tasks):
    return architectures.hard_sharing(keras.Input((32,)), tasks, shared=(16,), tower=())


def pilot(cosine=0.0):
    cosines = np.array([[1.0, cosine], [cosine, 1.0]])
    return Pilot(1.0, ("a", "b"), np.eye(2), cosines, np.full((2, 2), 0.1))


def short_list(tasks, **arguments):
    network = build(tasks)
    settings = {"pilot": pilot(), "grouping": None, **arguments}
    contenders, rules = make_short_list(build, tasks, network, *settings.values())
    assert [rule.contender for rule in rules if rule.contender] == list(contenders)
    return contenders


def test_rules_choose_contenders_by_what_was_seen():
    numbers = [Task.regression("a"), Task.regression("b")]
    assert list(short_list(numbers)) == ["share all", "share all, MMoE"]
    assert "share all, UPGrad" in short_list(numbers, pilot=pilot(-0.5))
    assert "share all, UPGrad" not in short_list(numbers, pilot=pilot(-0.2))
    assert "share all, UPGrad" not in short_list(numbers, pilot=pilot(np.nan))
    mixed = [Task.regression("a"), Task.binary("b")]
    assert "share all, uncertainty" in short_list(mixed)
    many = [Task.regression(f"t{i}") for i in range(17)]
    contenders = short_list(many, pilot=pilot(-0.9))
    assert list(contenders) == ["share all"]
    groups = find_groups(blocks((2, 2), 0.7, 0.2)[0], list("abcd"))
    tasks = [Task.regression(name) for name in "abcd"]
    grouped = short_list(tasks, grouping=groups)["share groups"]
    assert {frozenset(group) for group in grouped.groups} == {frozenset("ab"), frozenset("cd")}


def test_a_pilot_without_conflict_is_read_from_its_folder(tmp_path):
    fields = dataclasses.asdict(pilot(np.nan))
    for name in ("relatedness", "cosines", "cosine_errors"):
        fields[name] = np.full((2, 2), np.nan).tolist()
    write_json(tmp_path / "pilot.json", fields)
    network = types.SimpleNamespace(tasks=("a", "b"))
    read = run_pilot(network, data=None, epochs=1, seed=0, folder=tmp_path)
    assert np.isnan([read.cosines, read.cosine_errors, read.relatedness]).all()


def test_a_pilot_of_another_version_is_measured_again(tmp_path, monkeypatch):
    fields = dataclasses.asdict(pilot()) | {"conflict_rate": 0.4}
    del fields["cosine_errors"]
    fields["relatedness"] = fields["cosines"] = np.eye(2).tolist()
    write_json(tmp_path / "pilot.json", fields)
    pairs = [[1.0, -0.5], [-0.5, 1.0]]
    measured = dataclasses.replace(pilot(), relatedness=pairs, cosines=pairs, cosine_errors=pairs)
    monkeypatch.setattr("keras_mtl.studies._advice._pilot._train", lambda *_: measured)
    network = types.SimpleNamespace(tasks=("a", "b"))
    for _ in range(2):  # the second time from the folder
        read = run_pilot(network, data=None, epochs=1, seed=0, folder=tmp_path)
        assert read.cosines[0, 1] == -0.5


def test_every_contender_of_the_short_list_builds():
    tasks = [Task.regression("a"), Task.binary("b")]
    for contender in short_list(tasks, pilot=pilot(-1.0)).values():
        assert isinstance(contender(tasks), keras.Model)


@pytest.mark.parametrize(
    ("minutes", "expected", "kept"),
    [
        (0.15, (1, 3), 1),  # 9 trainings of a second: the baseline of 2 and one contender
        (0.2, (1, 3), 2),
        (0.25, (1, 3), 2),
        (1 / 3, (1, 5), 2),
        (0.5, (2, 5), 2),
        (60.0, (8, 5), 2),
    ],
)
def test_the_budget_fits_the_minutes(minutes, expected, kept):
    budget, contenders = fit_budget([2, 1, 1], 1.0, minutes, epochs=7, workers=1)
    assert (budget.trials, budget.seeds, budget.epochs) == (*expected, 7)
    assert contenders == kept


def test_too_few_minutes_say_how_many_are_needed():
    with pytest.raises(ValueError, match=r"needs about 0\.3 minutes"):
        fit_budget([2, 1, 1], 2.0, 0.2, epochs=1, workers=1)
    assert fit_budget([2, 1, 1], 2.0, 0.2, epochs=1, workers=2)[1] == 2


def study_of(verdicts, validation):
    """Returns a stand-in for a study with mean gains."""
    comparisons = {
        name: types.SimpleNamespace(gain=gain, gain_lower=gain - 0.01, gain_upper=gain + 0.01,
                                    verdict=verdict, rows=())
        for name, (verdict, gain) in verdicts.items()
    }  # fmt: skip
    runs = {
        name: [(types.SimpleNamespace(number=0), types.SimpleNamespace(
            state="done", best_epoch=0, values=lambda epoch, value=value: {"a": value}))]
        for name, value in validation.items()
    }  # fmt: skip
    metrics = {"a": types.SimpleNamespace(mode="max")}
    return types.SimpleNamespace(
        comparisons=comparisons,
        runs=runs,
        tasks=("a",),
        baselines={"a": 1.0},
        plan=types.SimpleNamespace(metrics=metrics),
    )


@pytest.mark.parametrize(
    ("verdicts", "validation", "answer", "contender"),
    [
        ({"share all": ("helped", 0.05)}, {"share all": 1.1}, "share all", "share all"),
        ({"share all": ("undecided", 0.05)}, {"share all": 1.1}, "do not share", "share all"),
        ({"share all": ("hurt", -0.05)}, {"share all": 0.9}, "do not share", "share all"),
        (
            {"share all": ("hurt", -0.05), "share groups": ("helped", 0.02)},
            {"share all": 0.9, "share groups": 1.1},
            "share groups",
            "share groups",
        ),
        (  # chosen by validation data, although test rows say otherwise
            {"share all": ("helped", 0.05), "share groups": ("undecided", 0.02)},
            {"share all": 1.05, "share groups": 1.1},
            "do not share",
            "share groups",
        ),
        ({}, {}, "do not share", BASELINE),
    ],
)
def test_the_answer_follows_from_validation_and_test(verdicts, validation, answer, contender):
    result = find_answer(study_of(verdicts, validation))
    assert result[:2] == (answer, contender)


def test_one_task_has_nothing_to_share():
    data = datasets.synthetic_groups(1, 1, rows=64)
    parts = [part.batch(32) for part in (data.train, data.validation, data.test)]
    with pytest.raises(ValueError, match="whether to share needs at least two"):
        studies.advise(build, data.tasks, *parts, minutes=1)


@pytest.mark.slow
def test_unrelated_tasks_are_not_shared_and_the_advice_goes_on_where_it_was(tmp_path):
    data = datasets.synthetic_groups(3, 3, rows=(600, 300, 1500), missing=0.5, seed=1)
    parts = [part.batch(300).cache() for part in (data.train, data.validation, data.test)]
    arguments = {"minutes": 4.0, "epochs": 10, "learning_rate": 3e-3, "directory": tmp_path}
    advice = studies.advise(build, data.tasks, *parts, verbose=False, **arguments)
    assert advice.answer == "do not share"
    assert "Answer: do not share, since" in str(advice)
    again = studies.advise(build, data.tasks, *parts, verbose=False, **arguments)
    assert str(again) == str(advice)


@pytest.mark.slow
@pytest.mark.parametrize("num_groups", [1, 2, 6])
def test_the_pilot_finds_planted_groups_and_no_others(num_groups, tmp_path):
    data = datasets.synthetic_groups(6, num_groups, rows=(3000, 600, 600), missing=0.5, seed=0)
    parts = [part.batch(256).cache() for part in (data.train, data.validation, data.test)]

    def build(tasks):
        return architectures.hard_sharing(keras.Input((32,)), tasks, shared=(64,), tower=())

    contenders = {"share all": Contender(build)}
    (network,) = read_networks(contenders, data.tasks, keras.optimizers.Adam, (5e-3, 5e-3))
    pilot = run_pilot(network, StudyData(*parts), 40, 0, tmp_path)
    grouping = find_groups(pilot.relatedness, pilot.tasks)
    assert grouping.are_apart == (num_groups == 2)
    if grouping.are_apart:
        assert {frozenset(group) for group in grouping.groups} == {
            frozenset(group) for group in data.names_by_group
        }
