"""Balancers that draw: the right distributions, anew each step, the same everywhere."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_mtl.balancers import COSMOS, RandomWeighting

STEPS = 3000


def drawn_weights(balancer, num_tasks, steps=STEPS):
    """Returns the weights of many steps `[steps, K]`; the scalar must be linear in the losses."""
    balancer.build(num_tasks)

    def at(step):
        balancer.iteration.assign(step)
        losses = tf.ones((num_tasks,))
        with tf.GradientTape() as tape:
            tape.watch(losses)
            scalar = balancer.scalarize(losses)
        return tape.gradient(scalar, losses)

    return tf.function(lambda: tf.map_fn(at, tf.range(steps), tf.float32))().numpy()


def assert_distributed(values, distribution):
    assert scipy.stats.kstest(values, distribution.cdf).pvalue > 1e-3


def test_normal_draws_go_through_a_softmax():
    weights = drawn_weights(RandomWeighting(distribution="normal"), 3)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    for i, j in (0, 1), (1, 2), (0, 2):
        ratios = np.log(weights[:, i] / weights[:, j])
        assert_distributed(ratios, scipy.stats.norm(0, np.sqrt(2)))


def test_dirichlet_weights_are_uniform_on_the_simplex():
    weights = drawn_weights(RandomWeighting(distribution="dirichlet"), 3)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    for task in range(3):
        assert_distributed(weights[:, task], scipy.stats.beta(1, 2))
    # On the simplex, the share of one task among two is uniform as well.
    assert_distributed(weights[:, 0] / weights[:, :2].sum(1), scipy.stats.uniform())


def test_one_task_a_step_is_drawn_as_often_as_another():
    weights = drawn_weights(RandomWeighting(distribution="one-hot"), 3)
    assert set(np.unique(weights)) == {0.0, 1.0}
    np.testing.assert_array_equal(weights.sum(1), 1)
    assert scipy.stats.chisquare(weights.sum(0)).pvalue > 1e-3


def test_preferences_are_dirichlet_with_any_concentration():
    concentration = np.array([0.3, 1.0, 4.0])
    draws = drawn_weights(COSMOS(alpha=list(concentration), lambda_=0.0), 3)
    np.testing.assert_allclose(draws.sum(1), 1, rtol=1e-6)
    for task, alpha in enumerate(concentration):
        rest = concentration.sum() - alpha
        assert_distributed(draws[:, task], scipy.stats.beta(alpha, rest))
    assert_distributed(draws[:, 0] / draws[:, :2].sum(1), scipy.stats.beta(0.3, 1.0))


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_gamma_variates_of_very_many_weights_are_exact(alpha):
    balancer, count = COSMOS(alpha=alpha), 100_000
    balancer.build(count)
    # A sum of so many variates differs from its mean by 0.5 % at most.
    variates = balancer.draw_preference().numpy() * count * alpha
    assert_distributed(variates, scipy.stats.gamma(alpha))


@pytest.mark.parametrize("distribution", ["normal", "dirichlet", "one-hot"])
def test_weights_change_each_step_and_with_the_seed_alone(distribution):
    make = [RandomWeighting(distribution=distribution, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (drawn_weights(balancer, 8, steps=20) for balancer in make)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) > 4


def test_successive_draws_are_not_correlated():
    weights = drawn_weights(RandomWeighting(), 2)[:, 0]
    assert abs(np.corrcoef(weights[:-1], weights[1:])[0, 1]) < 4 / np.sqrt(STEPS)


def test_the_objective_uses_the_preference_that_the_network_was_fed():
    balancer = COSMOS(lambda_=0.0)
    balancer.build(3)
    draws = []
    for _ in range(3):
        draws.append(balancer.draw_preference().numpy())
        np.testing.assert_array_equal(balancer.draw_preference(), draws[-1])
        losses = tf.ones((3,))
        with tf.GradientTape() as tape:
            tape.watch(losses)
            scalar = balancer.scalarize(losses)
        np.testing.assert_allclose(tape.gradient(scalar, losses), draws[-1], rtol=1e-6)
    assert len(np.unique(draws, axis=0)) == 3


def test_a_drawn_preference_is_shared_by_the_tasks_that_take_part():
    balancer, losses = COSMOS(alpha=[1.0, 2.0, 3.0], lambda_=2.0), tf.constant([1.0, 3.0])
    balancer.build(3)
    fed = balancer.draw_preference().numpy()[[2, 0]]
    with tf.GradientTape() as tape, balancer.on_tasks(tf.constant([2, 0])):
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    alone = COSMOS(lambda_=2.0, preference=[float(p) for p in fed])
    with tf.GradientTape() as other:
        other.watch(losses)
        expected = alone.scalarize(losses)
    weights, rule = tape.gradient(scalar, losses), other.gradient(expected, losses)
    np.testing.assert_allclose(weights, rule, rtol=1e-5)


def test_a_network_needs_the_preference_only_where_it_is_drawn():
    assert COSMOS().needs.preference
    fixed = COSMOS(preference={"b": 3.0, "a": 1.0})
    assert not fixed.needs.preference
    fixed.bind(["a", "b"])
    fixed.build(2)
    np.testing.assert_allclose(fixed.draw_preference(), [0.25, 0.75])
    with pytest.raises(ValueError, match=r"call build\(num_tasks\) before draw_preference"):
        COSMOS().draw_preference()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: RandomWeighting(distribution="uniform"), "distribution must be one of"),
        (lambda: RandomWeighting(seed=0.5), "seed must be a whole number"),
    ],
)
def test_bad_arguments_of_random_weights_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
