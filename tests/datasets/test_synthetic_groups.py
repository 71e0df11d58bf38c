"""The groups that the data claim are those that the labels show."""

import numpy as np
import pytest

from keras_mtl.data import mask_missing
from keras_mtl.datasets import synthetic_groups


def arrays(dataset):
    x, y = next(iter(dataset.batch(len(dataset))))
    return x.numpy(), np.stack([labels.numpy() for labels in y.values()], axis=1)


def span(x, labels):
    """Returns the directions that labels depend on, and all singular values: E[x y] lies in U."""
    vectors, values, _ = np.linalg.svd(x.T @ labels / len(x), full_matrices=False)
    return vectors[:, :4], values


@pytest.mark.parametrize(
    "heads",
    ["independent", *(pytest.param(h, marks=pytest.mark.slow) for h in ("correlated", "opposed"))],
)
def test_tasks_of_one_group_read_the_same_four_directions_and_no_other_group_does(heads):
    data = synthetic_groups(16, 2, heads=heads, rows=(100_000, 1, 1), seed=3)
    x, y = arrays(data.train)
    assert data.groups == (0, 1) * 8
    first, values = span(x, y[:, ::2])
    second, _ = span(x, y[:, 1::2])
    # A fifth direction is noise: 1 / sqrt(rows) per entry.
    assert values[3] > 3 * values[4]
    cosines = np.linalg.svd(first.T @ second, compute_uv=False)
    assert cosines.max() < 0.3


@pytest.mark.parametrize(
    ("heads", "low", "high"),
    [("correlated", 0.3, 0.95), ("independent", -0.9, 0.9), ("opposed", -0.95, 0.95)],
)
def test_labels_are_scaled_and_correlate_within_groups_as_the_heads_say(heads, low, high):
    _, y = arrays(synthetic_groups(8, 2, heads=heads, rows=(50_000, 1, 1), seed=1).train)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(y.std(axis=0), np.sqrt(1.01), atol=0.02)
    matrix = np.corrcoef(y.T)
    same = (np.arange(8)[:, None] - np.arange(8)) % 2 == 0
    pairs = matrix[same & ~np.eye(8, dtype=bool)]
    np.testing.assert_allclose(matrix[~same], 0, atol=0.02)
    assert low < pairs.min() < pairs.max() < high
    # Opposed heads are the correlated ones up to their signs.
    assert (np.abs(pairs).min() > 0.3) == (heads != "independent")


def test_unrelated_tasks_share_no_direction_even_if_there_are_many():
    data = synthetic_groups(12, 12, rows=8)
    x, _ = arrays(data.train)
    assert x.shape == (8, 48)
    assert data.names_by_group == tuple((f"task_{k}",) for k in range(12))


def test_a_seed_fixes_the_problem_whatever_the_number_of_rows():
    few, many = (synthetic_groups(4, 2, rows=(n, 64, 64), seed=5) for n in (32, 4096))
    other = synthetic_groups(4, 2, rows=(32, 64, 64), seed=6)
    x, y = arrays(few.train)
    for left, right in zip((x, y), arrays(many.train), strict=True):
        np.testing.assert_allclose(left, right[:32], rtol=1e-5)
    gaps = synthetic_groups(4, 2, rows=(32, 64, 64), missing=0.5, seed=5)
    for left, right in zip(arrays(few.test), arrays(gaps.test), strict=True):
        np.testing.assert_array_equal(np.where(np.isnan(right), np.nan, left), right)
    assert not np.array_equal(x, arrays(other.train)[0])
    assert not np.array_equal(x, arrays(few.validation)[0][:32])


def test_missing_labels_are_nan_and_can_be_masked():
    data = synthetic_groups(3, 1, rows=4000, missing=0.25)
    _, y = arrays(data.train)
    np.testing.assert_allclose(np.isnan(y).mean(axis=0), 0.25, atol=0.03)
    assert not np.array_equal(*np.isnan(y[:, :2]).T)
    _, labels, weights = next(iter(mask_missing(data.train.batch(4000), data.tasks)))
    np.testing.assert_array_equal(weights["task_1"], ~np.isnan(y[:, 1]))
    assert np.isfinite(labels["task_1"]).all()


def test_harmful_tasks_are_large_noise_and_groups_of_their_own():
    data = synthetic_groups(4, 2, rows=8000, harmful=2)
    x, y = arrays(data.train)
    assert data.groups == (0, 1, 0, 1, 2, 3)
    assert data.harmful == ("task_4", "task_5")
    np.testing.assert_allclose(y[:, 4:].std(axis=0), 10, rtol=0.05)
    assert np.abs(x.T @ y[:, 4:] / 8000).max() < 5 * 10 / np.sqrt(8000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_groups": 5}, "at least one task per group"),
        ({"heads": "random"}, "heads is 'random'"),
        ({"missing": 1.0}, "missing is 1.0"),
        ({"harmful": -1}, "harmful is -1"),
        ({"rows": (1, 2)}, "rows is"),
        ({"rows": 0}, "rows is 0"),
    ],
)
def test_impossible_problems_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_groups(4, **{"num_groups": 2, **arguments})
