import numpy as np
import pytest

from keras_mtl.data import check_dataset
from keras_mtl.datasets import (
    label_correlation,
    synthetic_regression,
    synthetic_regression_tasks,
)


def arrays(*args, **kwargs):
    x, y = next(iter(synthetic_regression(*args, **kwargs).batch(10**6)))
    return x.numpy(), np.stack([y["first"], y["second"]])


@pytest.mark.parametrize("p", [-1.0, -0.3, 0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("scale", "sines"), [(1.0, 5), (0.3, 2)])
def test_labels_have_the_correlation_of_the_closed_form(p, scale, sines):
    _, y = arrays(p, examples=100_000, features=3, scale=scale, sines=sines, seed=4)
    expected = label_correlation(p, features=3, scale=scale, sines=sines, seed=4)
    # The tolerance is four standard errors of a correlation of 100,000 pairs.
    assert np.corrcoef(y)[0, 1] == pytest.approx(expected, abs=4 / np.sqrt(100_000))


def test_the_cosine_of_the_tasks_is_not_the_correlation_of_their_labels():
    assert abs(label_correlation(0.9, seed=1) - 0.9) > 0.02


def test_labels_follow_the_equation_of_the_paper():
    x, y = arrays(0.7, examples=4000, features=2, sines=0, seed=1)
    weights, residuals, *_ = np.linalg.lstsq(x, y.T, rcond=None)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), 1, atol=0.01)
    assert weights[:, 0] @ weights[:, 1] == pytest.approx(0.7, abs=0.01)
    np.testing.assert_allclose(residuals / 4000, 0.01, rtol=0.1)  # variance of the noise
    assert label_correlation(0.7, sines=0) == pytest.approx(0.7 / 1.01)


def test_a_seed_fixes_the_problem_and_the_data():
    one, two = arrays(0.5, examples=9, seed=1), arrays(0.5, examples=9, seed=1)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(one[0], arrays(0.5, examples=9, seed=2)[0])
    check_dataset(synthetic_regression(0.5).batch(8), synthetic_regression_tasks())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1.1,), "p is a cosine, -1 to 1; received 1.1"), ((0.5,), "at least 2 features; received 1")],
)
def test_impossible_problems_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_regression(*arguments, features=1)
