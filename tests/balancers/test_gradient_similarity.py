"""GradientSimilarity against its equations in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import GradientSimilarity

ROWS = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 2.0], [-2.0, 1.0, 1.0]])
GRAMIAN = ROWS @ ROWS.T


def cosines_of(gramian):
    lengths = np.sqrt(np.diag(gramian))
    return gramian / np.outer(lengths, lengths)


def weights_from(cosines, temperature):
    similarity = (cosines.sum(axis=1) - np.diag(cosines)) / (len(cosines) - 1)
    powers = np.exp(similarity / temperature)
    return len(cosines) * powers / powers.sum()


@pytest.mark.parametrize(
    ("temperature", "expected"), [(1.0, [0.8664, 1.3709, 0.7627]), (0.5, [0.7012, 1.7554, 0.5434])]
)
def test_the_golden_weights_of_three_gradients_come_out(temperature, expected):
    weights = GradientSimilarity(temperature=temperature).weigh(GRAMIAN, np.ones(3))
    np.testing.assert_allclose(weights, expected, atol=5e-5)


def test_weights_follow_averages_of_cosines_and_sum_to_the_number_of_tasks():
    rng, balancer = np.random.default_rng(0), GradientSimilarity(temperature=0.3, ema=0.7)
    average = np.zeros((4, 4))
    for step in range(1, 8):
        rows = rng.normal(size=(4, 5)) * [[1], [1e3], [1e-3], [1]]
        average = 0.7 * average + 0.3 * cosines_of(rows @ rows.T)
        weights = balancer.weigh(rows @ rows.T, np.ones(4)).numpy()
        np.testing.assert_allclose(weights, weights_from(average / (1 - 0.7**step), 0.3), rtol=1e-4)
        np.testing.assert_allclose(weights.sum(), 4, rtol=1e-6)
    np.testing.assert_allclose(balancer.similarities(), average / (1 - 0.7**7), rtol=1e-4)


def test_two_tasks_always_have_weight_1_and_one_task_too():
    for num_tasks in 1, 2:
        weights = GradientSimilarity().weigh(GRAMIAN[:num_tasks, :num_tasks], np.ones(num_tasks))
        np.testing.assert_allclose(weights, 1, rtol=1e-6)


def test_the_majority_gains_what_an_outlier_loses():
    rows = np.array([[1.0, 0.1], [1.0, -0.1], [1.0, 0.0], [-1.0, 0.0]])
    weights = GradientSimilarity(temperature=0.5).weigh(rows @ rows.T, np.ones(4)).numpy()
    assert weights[3] < 0.15 < 1 < weights[:3].min()


def test_pairs_without_both_gradients_keep_their_averages():
    balancer = GradientSimilarity()
    balancer.build(3)
    with balancer.on_tasks(tf.constant([2, 0])) as updates:
        balancer.weigh(GRAMIAN[np.ix_([2, 0], [2, 0])], np.ones(2))
    cosine = np.asarray(updates[balancer.cosine.variable.path])
    expected = 0.1 * cosines_of(GRAMIAN)
    expected[1], expected[:, 1] = 0, 0
    np.testing.assert_allclose(cosine, expected, rtol=1e-5)
    zero = GRAMIAN * np.outer([0, 1, 1], [0, 1, 1])
    balancer.weigh(zero, np.ones(3))
    similarities = balancer.similarities().numpy()
    np.testing.assert_array_equal(similarities[0], 0)
    np.testing.assert_allclose(similarities[1, 2], cosines_of(GRAMIAN)[1, 2], rtol=1e-5)


def test_similarity_refuses_a_temperature_of_0_and_an_average_that_never_moves():
    with pytest.raises(ValueError, match="temperature must be a finite number"):
        GradientSimilarity(temperature=0.0)
    with pytest.raises(ValueError, match="ema must be a finite number"):
        GradientSimilarity(ema=1.0)
