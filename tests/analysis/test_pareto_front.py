"""Fronts: by brute force over all pairs, and by the laws that a front obeys."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis import pareto_front


def front_by_all_pairs(points):
    """Returns the positions that no other point dominates, and no earlier point equals."""
    return [
        index
        for index, point in enumerate(points)
        if not any((other >= point).all() and (other > point).any() for other in points)
        and not any((other == point).all() for other in points[:index])
    ]


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 5])
def test_the_front_is_that_of_all_pairs(num_objectives):
    draws = np.random.default_rng(num_objectives)
    for num_points in (1, 2, 7, 60):
        # Few values, so that ties in some objectives and equal points are frequent.
        points = draws.integers(0, 6, (num_points, num_objectives)).astype(float)
        assert pareto_front(points).indices.tolist() == front_by_all_pairs(points)
        points = draws.normal(size=(num_points, num_objectives))
        assert pareto_front(points).indices.tolist() == front_by_all_pairs(points)


def test_directions_turn_the_signs():
    points = np.random.default_rng(0).normal(size=(30, 3))
    expected = pareto_front(points * [1, -1, 1]).indices
    mixed = pareto_front(points, maximize=[True, False, True])
    np.testing.assert_array_equal(mixed.indices, expected)
    np.testing.assert_array_equal(mixed.points, points[expected])


def test_permuting_points_and_objectives_permutes_the_front():
    draws = np.random.default_rng(1)
    points = draws.normal(size=(40, 3))
    rows, columns = draws.permutation(40), draws.permutation(3)
    permuted = pareto_front(points[rows][:, columns]).indices
    assert set(rows[permuted]) == set(pareto_front(points).indices)


def test_no_point_of_the_front_dominates_another_and_all_others_are_dominated():
    points = np.random.default_rng(2).normal(size=(200, 2))
    front = pareto_front(points)
    for point in front.points:
        assert not ((front.points >= point).all(axis=1) & (front.points > point).any(axis=1)).any()
    for index in set(range(200)) - set(front.indices.tolist()):
        assert (front.points >= points[index]).all(axis=1).any()


def test_failed_trials_are_left_out_and_named():
    front = pareto_front(
        {"equal": [1, 1], "nan": [np.nan, 9], "inf": [np.inf, 0], "None": [9, None]}
    )
    assert front.names == ("equal",)
    assert front.failed == ("nan", "inf", "None")
    assert pareto_front([[np.nan, 1.0]]).indices.size == 0


def test_of_equal_points_the_first_one_counts():
    assert pareto_front([[1, 1], [2, 0], [1, 1], [2, 0]]).indices.tolist() == [0, 1]


@pytest.mark.parametrize("num_tasks", [1, 2, 50, 600])
def test_any_number_of_objectives_works(num_tasks):
    gains = np.random.default_rng(3).normal(size=(20, num_tasks))
    assert pareto_front(gains).points.shape[1] == num_tasks


def test_names_come_from_frames_and_dicts_in_any_form():
    rows = {
        "b": {"views": 1, "buys": 0},
        "a": {"buys": 2, "views": 0},
        "c": {"views": 0, "buys": 1},
    }
    frame = pd.DataFrame(rows).T.astype("Int64")
    for points in (rows, frame):
        front = pareto_front(points, maximize={"buys": True, "views": True})
        assert front.names == ("b", "a")
        assert front.objectives == ("views", "buys")
        np.testing.assert_array_equal(front.points, [[1, 0], [0, 2]])
    assert pareto_front(list(rows.values())).objectives == ("views", "buys")
    frame.loc["b", "views"] = pd.NA
    assert pareto_front(frame).failed == ("b",)


def test_no_points_give_an_empty_front():
    assert pareto_front([]).indices.tolist() == []
    assert pareto_front(np.zeros((0, 3))).indices.tolist() == []
    assert str(pareto_front(np.zeros((0, 2)))) == "point  0  1"


@pytest.mark.parametrize(
    ("points", "arguments", "error", "message"),
    [
        ([1.0, 2.0], {}, ValueError, r"shape \(2,\); expected \(points, objectives\)"),
        ([[1.0], [1.0, 2.0]], {}, ValueError, "points is no rectangular array"),
        ([["0.1", "0.2"]], {}, TypeError, "points has dtype <U3; expected numbers"),
        ([[0.1, "x"], [None, 1]], {}, TypeError, "expected numbers"),
        ([[1j, 0]], {}, TypeError, "complex128; expected numbers"),
        (np.zeros((2, 0)), {}, ValueError, "no objective"),
        ([[1, 2]], {"maximize": [True]}, ValueError, "maximize has 1 values; expected one, or 2"),
        ([{"a": 1}, {"b": 1}], {}, ValueError, r"point 1 has the objectives \['b'\]; expected"),
        ({"x": {"a": 1}, "y": 3}, {}, ValueError, "point 'y' has the objectives 3; expected"),
        ([{"a": 1}], {"maximize": {"b": True}}, ValueError, r"maximize has the names \['b'\]"),
    ],
)
def test_what_is_no_array_of_points_is_refused(points, arguments, error, message):
    with pytest.raises(error, match=message):
        pareto_front(points, **arguments)
