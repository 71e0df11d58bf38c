"""SelfPaced: its weights solve the paper's problem, and become equal in the end."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_mtl.balancers import SelfPaced


def weights_of(balancer, losses):
    losses = tf.constant(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses).numpy()


def test_weights_minimize_the_losses_with_an_entropy():
    first, losses, pace = np.array([2.0, 50.0, 0.1]), np.array([1.0, 45.0, 0.02]), 0.5

    def goal(weights):
        return weights @ (losses / first) + pace * np.sum(weights * np.log(weights))

    best = scipy.optimize.minimize(
        goal, np.ones(3), constraints={"type": "eq", "fun": lambda w: w.sum() - 3}, tol=1e-10
    ).x
    balancer = SelfPaced(start=pace)
    np.testing.assert_array_equal(weights_of(balancer, first), [1, 1, 1])
    np.testing.assert_allclose(weights_of(balancer, losses), best, atol=1e-4)


def test_the_pace_grows_until_all_tasks_count_the_same():
    balancer, spreads = SelfPaced(start=0.2, growth=2.0), []
    weights_of(balancer, [1.0, 1.0])
    for epoch in range(12):
        weights = weights_of(balancer, [0.2, 1.0])
        expected = np.exp([-0.2 / (0.2 * 2**epoch), -1.0 / (0.2 * 2**epoch)])
        np.testing.assert_allclose(weights, 2 * expected / expected.sum(), rtol=1e-4)
        spreads.append(np.ptp(weights))
        balancer.end_epoch()
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 1.9
    assert spreads[-1] < 0.003
    balancer.epoch.assign(10_000)  # 2^10000 is beyond any float
    np.testing.assert_allclose(weights_of(balancer, [0.2, 1.0]), [1, 1])


def test_a_task_is_measured_by_the_first_loss_that_it_has():
    balancer = SelfPaced()
    balancer.build(3)
    with balancer.on_tasks(tf.constant([0, 2])) as updates:
        balancer.scalarize([4.0, 8.0])
    np.testing.assert_array_equal(updates[balancer.first.variable.path], [4, 0, 8])


def test_a_pace_that_does_not_grow_is_refused():
    with pytest.raises(ValueError, match="growth must be a finite number from 1"):
        SelfPaced(growth=0.9)
    with pytest.raises(ValueError, match="start must be a finite number"):
        SelfPaced(start=0.0)
