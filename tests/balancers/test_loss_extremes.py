"""Loss balancers with losses of any size: weights, scalar and state stay finite."""

import loss_cases
import numpy as np
import pytest
import tensorflow as tf

CASES = {**loss_cases.CASES, **loss_cases.VARIANTS}
every_class = pytest.mark.parametrize(
    "name",
    [n if n in loss_cases.CASES else pytest.param(n, marks=pytest.mark.slow) for n in CASES],
)
EXTREMES = {
    "ones": [1.0, 1.0, 1.0],
    "zero": [0.0, 0.0, 0.0],
    "tiny": [1e-30, 2e-30, 1e-30],
    "huge": [1e30, 1e30, 2e30],
    "spread": [1e-30, 1.0, 1e30],
    "one solved": [0.0, 1.0, 1.0],
    "subnormal in float32": [1e-42, 1.0, 1e-38],
    "ordinary again": [0.3, 0.2, 0.5],
}
NEGATIVE = {
    "negative": [-1.0, -2.0, -3.0],
    "mixed": [-1e30, 1.0, -1e-30],
    "ordinary after all": [0.3, 0.2, 0.5],
}


def step(balancer, losses):
    """Returns the scalar and the weights, after all calls that may follow a step."""
    losses = tf.constant(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    weights = tape.gradient(scalar, losses).numpy()
    if balancer.needs.losses_after:
        balancer.after_update(tf.reverse(losses, [0]))
    balancer.end_epoch()
    return float(scalar), weights


def assert_finite(balancer, scalar, weights):
    assert np.isfinite(scalar)
    assert np.isfinite(weights).all()
    for state in balancer.states:
        assert np.isfinite(state.variable.numpy()).all(), state.variable.path


@every_class
@pytest.mark.parametrize("num_tasks", [1, 64])
def test_everything_stays_finite_for_losses_of_any_size(name, num_tasks):
    balancer = CASES[name].make(range(num_tasks))
    for losses in EXTREMES.values():
        scalar, weights = step(balancer, np.resize(losses, num_tasks))
        assert_finite(balancer, scalar, weights)
        if "simplex" in CASES[name].laws:
            assert (weights >= 0).all()
            np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)
    for losses in NEGATIVE.values():
        assert_finite(balancer, *step(balancer, np.resize(losses, num_tasks)))


@every_class
def test_a_single_task_is_weighted_above_zero(name):
    balancer = CASES[name].make([0])
    for losses in [0.5], [0.4], [0.3]:
        assert step(balancer, losses)[1][0] > 0
