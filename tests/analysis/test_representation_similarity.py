"""Similarities of representations: golden values, the definition with loops, invariances."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.spatial.distance
import scipy.stats

from keras_mtl.analysis import representation_similarity

X = np.array([(1, 0), (0, 1), (2, 1), (1, 3), (3, 2), (0, 0)], float)
Y = np.array([1, 2, 2, 5, 4, 0], float)[:, None]


def compare(x, y, **arguments):
    return representation_similarity({"views": x, "age": y}, **arguments)


def test_golden_values():
    result = compare(X, Y)
    assert result.biased_cka[0, 1] == pytest.approx(0.804532, abs=5e-7)
    assert result.cka[0, 1] == pytest.approx(0.762029, abs=5e-7)
    assert result.rsa[0, 1] == pytest.approx(0.705307, abs=5e-7)
    stretched = compare(X @ np.diag([1, 5]), Y)
    assert stretched.cka[0, 1] == pytest.approx(0.975365, abs=5e-7)


def test_rotation_scale_and_shift_change_nothing():
    angle = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    expected = compare(X, Y)
    for changed in (X @ angle, 1e-9 * X, 1e200 * X, X + np.array([1e3, -1e3])):
        result = compare(changed, Y)
        for name in ("cka", "biased_cka", "rsa"):
            np.testing.assert_allclose(getattr(result, name), getattr(expected, name), rtol=1e-9)


def hsic(x, y):
    """Computes the unbiased HSIC as the mean over all choices of four different rows."""
    first, second = x @ x.T, y @ y.T
    terms = [
        first[i, j] * (second[i, j] + second[q, r] - 2 * second[i, q])
        for i, j, q, r in itertools.permutations(range(len(x)), 4)
    ]
    return np.mean(terms)


def test_the_value_is_that_of_all_choices_of_four_rows():
    draws = np.random.default_rng(0)
    x, y = draws.normal(size=(7, 3)), draws.normal(size=(7, 2))
    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert compare(x, y).cka[0, 1] == pytest.approx(expected)


def test_distances_are_ranked_as_by_scipy():
    draws = np.random.default_rng(1)
    x, y = draws.normal(size=(20, 5)).round(), draws.normal(size=(20, 3))
    distances = map(scipy.spatial.distance.pdist, (x, y))
    assert compare(x, y).rsa[0, 1] == pytest.approx(scipy.stats.spearmanr(*distances).statistic)


@pytest.mark.parametrize(("rows", "biased"), [(20, 0.83), (2000, 0.05)])
def test_unrelated_representations_have_an_unbiased_cka_of_0(rows, biased):
    draws = np.random.default_rng(2)
    results = [compare(*draws.normal(size=(2, rows, 100)), rsa=False) for _ in range(2000 // rows)]
    mean = np.mean([result.biased_cka[0, 1] for result in results])
    assert mean == pytest.approx(biased, abs=0.01)
    assert np.mean([result.cka[0, 1] for result in results]) == pytest.approx(0, abs=0.02)


def test_batches_sum_the_parts_before_they_divide():
    draws = np.random.default_rng(3)
    x = draws.normal(size=(64, 3)) * np.repeat([1, 100], 32)[:, None]
    y = x[:, :1] + draws.normal(size=(64, 2))
    centered = [array - array.mean(axis=0) for array in (x, y)]
    halves = [[array[:32] for array in centered], [array[32:] for array in centered]]
    result = compare(x, y, batch_size=32).cka[0, 1]

    def parts(first, second):
        n = len(first)
        left, right = (np.where(np.eye(n), 0, a @ a.T) for a in (first, second))
        ones = np.ones(n)
        value = np.trace(left @ right) + left.sum() * right.sum() / ((n - 1) * (n - 2))
        return (value - 2 / (n - 2) * ones @ left @ right @ ones) / (n * (n - 3))

    sums = [sum(parts(half[i], half[j]) for half in halves) for i, j in ((0, 1), (0, 0), (1, 1))]
    assert result == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]))
    # A rest of fewer than four rows has no unbiased value, and is left out.
    rest = compare(x[:35], y[:35], batch_size=32).cka[0, 1]
    assert rest == pytest.approx(compare(x[:32], y[:32]).cka[0, 1])


def test_batches_change_little():
    draws = np.random.default_rng(4)
    x = draws.normal(size=(3000, 20))
    y = np.tanh(x[:, :10]) + 0.5 * draws.normal(size=(3000, 10))
    whole, cut = compare(x, y, batch_size=3000), compare(x, y, batch_size=500)
    assert cut.cka[0, 1] == pytest.approx(whole.cka[0, 1], abs=0.01)
    assert np.isnan(whole.rsa).all()


@pytest.mark.parametrize("num_tasks", [1, 2, 50])
def test_permuting_the_tasks_permutes_the_similarities(num_tasks):
    draws = np.random.default_rng(5)
    arrays = {f"t{task}": draws.normal(size=(30, 1 + task % 4)) for task in range(num_tasks)}
    order = draws.permutation(num_tasks)
    names = [f"t{task}" for task in order]
    before = representation_similarity(arrays)
    after = representation_similarity({name: arrays[name] for name in names})
    for name in ("cka", "biased_cka", "rsa"):
        values = getattr(before, name)
        np.testing.assert_allclose(getattr(after, name), values[np.ix_(order, order)], atol=1e-12)
        np.testing.assert_allclose(np.diagonal(values), 1)
        np.testing.assert_allclose(values, values.T, atol=1e-12)
    assert len(str(before).splitlines()) < 20


def test_permuting_the_rows_of_all_changes_nothing_and_of_one_everything():
    draws = np.random.default_rng(6)
    x = draws.normal(size=(200, 4))
    y = x @ draws.normal(size=(4, 3))
    rows = draws.permutation(200)
    expected = compare(x, y)
    np.testing.assert_allclose(compare(x[rows], y[rows]).cka, expected.cka)
    assert abs(compare(x[rows], y).cka[0, 1]) < 0.1 < 0.3 < expected.cka[0, 1]


def test_constant_representations_are_missing_not_0():
    result = representation_similarity({"b": X, "a": np.full((6, 3), 1e8), "c": np.zeros((6, 0))})
    assert set(result.missing) == {"a", "c"}
    assert result.missing["a"] == "its representation is the same in all rows"
    for values in (result.cka, result.biased_cka, result.rsa):
        assert values[0, 0] == pytest.approx(1)
        assert np.isnan(values[1:]).all()
        assert np.isnan(values[:, 1:]).all()
    assert "a: its representation" in str(result)


def test_a_negative_self_term_is_missing():
    # Rows of length 1 in all directions: every inner product but the own one is -1 / 3.
    simplex = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], float)
    result = compare(simplex, np.arange(4.0)[:, None])
    assert np.isnan(result.cka[0, 1])
    assert "not positive" in result.missing["views"]


def test_images_frames_and_lists_are_read():
    images = X.reshape(6, 1, 2)
    for x in (images, pd.DataFrame(X), X.tolist(), X.astype("float32"), X.astype(int)):
        assert compare(x, Y).cka[0, 1] == pytest.approx(0.762029, abs=1e-6)


@pytest.mark.parametrize(
    ("representations", "arguments", "error", "message"),
    [
        ([X], {}, TypeError, "representations is of type list; expected a dict"),
        ({}, {}, ValueError, "representations is empty"),
        ({"b": 3}, {}, ValueError, "representation 'b' is 3; expected an array"),
        ({"b": X, "a": Y[:5]}, {}, ValueError, "representation 'a' has 5 rows and 'b' 6"),
        ({"b": X[:3]}, {}, ValueError, "representations have 3 rows; expected at least 4"),
        ({"b": [[1, np.nan]] * 4}, {}, ValueError, "representation 'b' has a missing or infinite"),
        ({"b": [["x"]] * 4}, {}, TypeError, "representation 'b' has dtype"),
        ({"b": X}, {"batch_size": 3}, ValueError, "batch_size is 3; expected at least 4"),
    ],
)
def test_what_are_no_representations_is_refused(representations, arguments, error, message):
    with pytest.raises(error, match=message):
        representation_similarity(representations, **arguments)
