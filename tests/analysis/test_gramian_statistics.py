"""Statistics of gradients: golden values, gradients in NumPy, and laws."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis import gramian_statistics, unbiased_gramian

TWO = [[18, -22], [-22, 38]]
THREE = [[4, -2, 2], [-2, 6, 2], [2, 2, 3]]  # of the rows (2, 0, 0), (-1, 2, 1), (1, 1, 1)


def upper(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


@pytest.mark.parametrize(
    ("gramian", "name", "expected"),
    [
        (TWO, "cosines", [-0.841191]),
        (TWO, "magnitude_similarities", [0.934050]),
        (TWO, "bounding_measures", [2.436647]),
        (THREE, "cosines", [-0.408248, 0.577350, 0.471405]),
        (THREE, "magnitude_similarities", [0.979796, 0.989743, 0.942809]),
        (THREE, "bounding_measures", [1.944444, 0.181818, 0.299145]),
    ],
)
def test_golden_values_of_pairs(gramian, name, expected):
    np.testing.assert_allclose(
        upper(getattr(gramian_statistics(gramian), name)), expected, atol=5e-7
    )


@pytest.mark.parametrize(
    ("gramian", "participation", "entropy", "cooperation"),
    [
        (TWO, 1.171233, 1.319579, 0.214286),
        (THREE, 2.025, 2.082810, 1.307692),
        (np.eye(3), 3, 3, 1),
        (np.ones((4, 4)), 1, 1, 4),
        ([[1, -1], [-1, 1]], 1, 1, 0),
        ([[5]], 1, 1, 1),
    ],
)
def test_golden_values_of_the_number_of_tasks(gramian, participation, entropy, cooperation):
    result = gramian_statistics(gramian)
    assert result.effective_tasks == pytest.approx(participation, abs=5e-7)
    assert result.effective_tasks_entropy == pytest.approx(entropy, abs=5e-7)
    assert result.cooperation == pytest.approx(cooperation, abs=5e-7)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [0.485071, 0.594089, 0.980196]),
        ((1, 0.5, 2), [0.667424, 0.389249, 0.990867]),
        ({"c": 2, "a": 1, "b": 0.5}, [0.667424, 0.389249, 0.990867]),
    ],
)
def test_golden_values_of_the_weighted_direction(weights, expected):
    result = gramian_statistics(THREE, weights, tasks=["a", "b", "c"])
    np.testing.assert_allclose(result.direction_cosines, expected, atol=5e-7)
    np.testing.assert_array_equal(result.harm_rates, [0, 0, 0])


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_the_values_are_those_of_the_gradients():
    draws = np.random.default_rng(0)
    gradients, weights = draws.normal(size=(6, 4, 9)), draws.uniform(size=(6, 4))
    gramians = gradients @ gradients.swapaxes(1, 2)
    result = gramian_statistics(gramians, weights, thresholds=[0.2])
    directions = np.einsum("sk,skn->sn", weights, gradients)
    for i in range(4):
        expected = [cosine(g, d) for g, d in zip(gradients[:, i], directions, strict=True)]
        assert result.direction_cosines[i] == pytest.approx(np.mean(expected))
        assert result.harm_rates[i] == np.mean(np.array(expected) < 0)
        for j in set(range(4)) - {i}:
            pairs = list(zip(gradients[:, i], gradients[:, j], strict=True))
            expected = np.mean([cosine(a, b) < -0.2 for a, b in pairs])
            assert result.pair_conflict_rates[0.2][i, j] == expected
            # A ratio of means is the cosine of the gradients of all steps, one after another.
            whole = cosine(gradients[:, i].ravel(), gradients[:, j].ravel())
            assert result.cosines[i, j] == pytest.approx(whole)
    rates = upper(result.pair_conflict_rates[0.2])
    assert result.conflict_rates[0.2] == pytest.approx(np.mean(rates))
    one = gramian_statistics(gramians[0])
    a, b = gradients[0, :2]
    bound = (1 - cosine(a, b) ** 2) * np.sum((a - b) ** 2) / np.sum((a + b) ** 2)
    assert one.bounding_measures[0, 1] == pytest.approx(bound)


def test_permuting_the_tasks_permutes_the_statistics():
    draws = np.random.default_rng(1)
    gradients, order = draws.normal(size=(3, 5, 4)), draws.permutation(5)
    weights = draws.uniform(size=5)
    gramians = gradients @ gradients.swapaxes(1, 2)
    before = gramian_statistics(gramians, weights)
    after = gramian_statistics(gramians[:, order][:, :, order], weights[order])
    for name in ("cosines", "magnitude_similarities", "bounding_measures", "gramian"):
        permuted = getattr(before, name)[np.ix_(order, order)]
        np.testing.assert_allclose(getattr(after, name), permuted, atol=1e-12)
    for name in ("norms", "direction_cosines", "harm_rates"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name)[order], atol=1e-12)
    assert after.effective_tasks == pytest.approx(before.effective_tasks)
    assert after.conflict_rates == before.conflict_rates


def test_scaling_a_loss_changes_magnitudes_but_no_cosine():
    scales = np.array([1e-6, 1, 1e6])
    before, after = gramian_statistics(THREE), gramian_statistics(THREE * np.outer(scales, scales))
    np.testing.assert_allclose(after.cosines, before.cosines, rtol=1e-12)
    assert after.effective_tasks == pytest.approx(before.effective_tasks)
    assert (upper(after.magnitude_similarities) < 1e-5).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_a_common_scale_changes_nothing_but_lengths(scale):
    before, after = gramian_statistics(THREE), gramian_statistics(np.multiply(THREE, scale))
    for name in ("cosines", "magnitude_similarities", "bounding_measures", "direction_cosines"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9)
    np.testing.assert_allclose(after.norms, before.norms * np.sqrt(scale), rtol=1e-9)


def test_an_absent_task_is_missing_and_changes_nothing_else():
    whole = np.full((4, 4), np.nan)
    whole[np.ix_([0, 2, 3], [0, 2, 3])] = THREE
    # The weight of an absent task is missing, too.
    result = gramian_statistics(whole, [1, np.nan, 1, 1], tasks="abcd")
    expected = gramian_statistics(THREE)
    assert result.missing == {"b": "absent from every step"}
    kept = np.ix_([0, 2, 3], [0, 2, 3])
    for name in ("cosines", "bounding_measures"):
        values = getattr(result, name)
        np.testing.assert_array_equal(values[kept], getattr(expected, name))
        assert np.isnan(values[1]).all()
        assert np.isnan(values[:, 1]).all()
    np.testing.assert_allclose(
        result.direction_cosines[[0, 2, 3]], expected.direction_cosines, rtol=1e-14
    )
    assert np.isnan(result.direction_cosines[1])
    assert result.effective_tasks == expected.effective_tasks
    assert result.cooperation == expected.cooperation
    assert result.conflict_rates == expected.conflict_rates


def test_a_zero_gradient_has_no_direction():
    result = gramian_statistics([[4, 0], [0, 0]], tasks=["b", "a"])
    assert result.missing == {"a": "its gradient is zero"}
    assert result.norms.tolist() == [2, 0]
    assert np.isnan(result.cosines[0, 1])
    assert np.isnan(result.conflict_rates[0.0])
    assert result.effective_tasks == 1
    nothing = gramian_statistics(np.zeros((2, 2)))
    assert np.isnan(nothing.effective_tasks)
    assert np.isnan(nothing.cooperation)


def test_lengths_of_a_pair_come_from_the_steps_in_which_both_are_active():
    gradients = np.random.default_rng(2).normal(size=(4, 2, 3))
    gradients[2:, 0] *= 100
    gradients[2:, 1] = np.nan
    steps = gradients @ gradients.swapaxes(1, 2)
    result = gramian_statistics(steps)
    assert result.cosines[0, 1] == pytest.approx(gramian_statistics(steps[:2]).cosines[0, 1])
    assert result.norms[0] > 10 * gramian_statistics(steps[:2]).norms[0]


def test_tasks_that_are_never_active_together_have_no_cosine():
    steps = np.full((2, 2, 2), np.nan)
    steps[0, 0, 0] = steps[1, 1, 1] = 1
    result = gramian_statistics(steps)
    assert np.isnan(result.cosines[0, 1])
    assert np.isnan(result.effective_tasks)
    assert result.missing == {}


def test_the_gradient_below_the_noise_is_named():
    result = gramian_statistics([[-1, 0.5], [0.5, 3]], tasks=["b", "a"])
    assert list(result.missing) == ["b"]
    assert "below the noise" in result.missing["b"]
    assert np.isnan(result.cosines[0, 1])


@pytest.mark.parametrize(("num_variables", "expected"), [(10, 0.385), (1000, 0.001), (1, 0.5)])
def test_the_rates_of_random_directions(num_variables, expected):
    result = gramian_statistics(THREE, num_variables=num_variables)
    assert result.chance_rates[0.0] == pytest.approx(0.5)
    assert result.chance_rates[0.1] == pytest.approx(expected, abs=6e-4)


def test_the_rates_of_random_directions_are_those_of_draws():
    draws = np.random.default_rng(3).normal(size=(20_000, 2, 8))
    gramians = draws @ draws.swapaxes(1, 2)
    result = gramian_statistics(gramians, num_variables=8, thresholds=[0, 0.1, 0.4])
    for limit, rate in result.conflict_rates.items():
        assert rate == pytest.approx(result.chance_rates[limit], abs=0.012)


@pytest.mark.parametrize("num_tasks", [1, 2, 50, 600])
def test_any_number_of_tasks_works(num_tasks):
    gradients = np.random.default_rng(4).normal(size=(num_tasks, 20))
    result = gramian_statistics(gradients @ gradients.T)
    assert result.cosines.shape == (num_tasks, num_tasks)
    assert 1 <= result.effective_tasks <= min(num_tasks, 20) + 1e-9
    assert len(str(result).splitlines()) < 20
    assert len(result.rows) == num_tasks * (num_tasks - 1) // 2


def test_frames_and_dicts_are_read_by_name():
    frame = pd.DataFrame(TWO, index=["views", "age"], columns=["views", "age"])
    by_name = {row: dict(frame.loc[row]) for row in frame.index}
    for gramian in (frame, frame[["age", "views"]], by_name):
        result = gramian_statistics(gramian)
        assert result.tasks == ("views", "age")
        np.testing.assert_array_equal(result.gramian, TWO)
    turned = gramian_statistics(frame, tasks=["age", "views"])
    np.testing.assert_array_equal(turned.gramian, [[38, -22], [-22, 18]])


NAN = np.nan


@pytest.mark.parametrize(
    ("gramian", "arguments", "message"),
    [
        ([1, 2], {}, r"gramian has shape \(2,\); expected \(tasks, tasks\) or \(steps"),
        (np.zeros((2, 3)), {}, r"gramian has shape \(2, 3\)"),
        (np.zeros((0, 2, 2)), {}, "expected at least one step and task"),
        ([[1, 2], [3, 4]], {}, "gramian is not symmetric"),
        ([[1, np.inf], [np.inf, 4]], {"tasks": "ba"}, "gramian is infinite for task 'b' in step 0"),
        ([[1, NAN], [NAN, 4]], {"tasks": "ba"}, r"misses a part of the row of task 'b' in step 0"),
        (TWO, {"tasks": ["a"]}, r"gramian has 2 rows, but there are 1 tasks"),
        (TWO, {"tasks": ["a", "a"]}, "two tasks are named 'a'"),
        (TWO, {"weights": [1, 2, 3]}, r"weights has shape \(3,\); expected \(2,\)"),
        (TWO, {"weights": {"a": 1, "0": 2}}, r"weights has the names \['0', 'a'\]"),
        (TWO, {"weights": [1, np.inf]}, "weights has an infinite entry"),
        (TWO, {"thresholds": [-0.1]}, "thresholds is .*; expected numbers from 0 to 1"),
        (TWO, {"num_variables": 0}, "num_variables is 0; expected at least 1"),
        ({"a": {"a": 1}, "b": {"b": 1}}, {}, r"gramian\['a'\] has the tasks \['a'\]; expected"),
        ({"a": 3}, {}, r"gramian\['a'\] is 3; expected a dict by task"),
    ],
)
def test_what_is_no_gramian_is_refused(gramian, arguments, message):
    with pytest.raises(ValueError, match=message):
        gramian_statistics(gramian, **arguments)


def test_half_batches_take_the_shared_noise_out():
    draws = np.random.default_rng(5)
    true = np.array([[1.0, 0.0], [0.4, 1.0]])
    # The noise of a row reaches both tasks, so gradients of the same rows look alike.
    shared = draws.normal(size=(4000, 2, 1, 2))
    halves = true + 2 * shared + draws.normal(size=(4000, 2, 2, 2))
    same = halves.mean(axis=1)
    expected = 0.4 / np.sqrt(1.16)
    biased = gramian_statistics(same @ same.swapaxes(1, 2)).cosines[0, 1]
    unbiased = gramian_statistics(unbiased_gramian(halves[:, 0], halves[:, 1])).cosines[0, 1]
    assert biased > expected + 0.2
    assert unbiased == pytest.approx(expected, abs=0.07)


def test_the_gramian_of_halves_is_symmetric_and_that_of_equal_halves_is_plain():
    draws = np.random.default_rng(6)
    first, second = draws.normal(size=(2, 5, 3, 7))
    result = unbiased_gramian(first, second)
    np.testing.assert_array_equal(result, result.swapaxes(1, 2))
    np.testing.assert_allclose(result, unbiased_gramian(second, first))
    assert result[0, 0, 1] == pytest.approx(
        (first[0, 0] @ second[0, 1] + second[0, 0] @ first[0, 1]) / 2
    )
    np.testing.assert_allclose(unbiased_gramian(first, first), first @ first.swapaxes(1, 2))


def test_a_task_that_is_absent_from_a_half_is_absent():
    first = np.ones((3, 2))
    first[1] = np.nan
    result = unbiased_gramian(first, np.ones((3, 2)))
    assert np.isnan(result[1]).all()
    assert np.isnan(result[:, 1]).all()
    np.testing.assert_array_equal(result[::2, ::2], [[2, 2], [2, 2]])


def test_halves_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"first has shape \(2, 3\) and second \(3, 3\)"):
        unbiased_gramian(np.zeros((2, 3)), np.zeros((3, 3)))
