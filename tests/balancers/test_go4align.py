"""GO4Align: its groups against all divisions of the tasks, and its shares against the paper's."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import GO4Align, ScaleInvariant


def weights_of(balancer, losses):
    losses = tf.convert_to_tensor(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses)


def means_of_the_best_groups(indicators, num_groups):
    """Finds the groups by trying every way to put the tasks into groups, also of tasks apart."""
    best, means = np.inf, None
    for labels in itertools.product(range(num_groups), repeat=len(indicators)):
        labels = np.array(labels)
        candidate = np.array([indicators[labels == label].mean() for label in labels])
        deviation = np.sum((indicators - candidate) ** 2)
        if deviation < best:
            best, means = deviation, candidate
    return means


def weights_by_the_paper(history, num_groups, beta):
    """Computes the weights of the last of several steps by equations 3 and 5 to 7."""
    shares = np.full(len(history[0]), 1 / len(history[0]))
    for losses in history:
        shares = shares * np.exp(-beta * losses)
        shares = shares / shares.sum()
    return means_of_the_best_groups(history[-1].mean() / history[-1] * shares, num_groups)


@pytest.mark.parametrize(("num_tasks", "num_groups"), [(2, 2), (5, 1), (5, 2), (6, 3), (3, 5)])
def test_tasks_of_a_group_get_the_mean_of_their_indicators(num_tasks, num_groups):
    rng = np.random.default_rng(num_tasks)
    for _ in range(10):
        balancer, history = GO4Align(num_groups=num_groups, beta=0.2), []
        for _ in range(3):
            history.append(10 ** rng.uniform(-2, 2, size=num_tasks))
            expected = weights_by_the_paper(history, num_groups, beta=0.2)
            weights = weights_of(balancer, history[-1])
            np.testing.assert_allclose(weights, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("num_groups", "expected"),
    [
        (1, [0.43952] * 4),
        (2, [0.93776, 0.27345, 0.27345, 0.27345]),
        (3, [0.93776, 0.46883, 0.17575, 0.17575]),
        (4, [0.93776, 0.46883, 0.23437, 0.11714]),
    ],
)
def test_the_golden_weights_of_four_losses_come_out(num_groups, expected):
    weights = weights_of(GO4Align(num_groups=num_groups), [1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_groups_of_one_task_and_no_past_are_scale_invariant():
    losses = np.array([0.3, 40.0, 2.0])
    weights = weights_of(GO4Align(num_groups=3, beta=0.0), losses)
    expected = weights_of(ScaleInvariant(), losses) * losses.mean() / 3
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_equal_losses_get_equal_weights_of_sum_1_in_any_number_of_groups():
    for num_groups in 1, 2, 7:
        weights = weights_of(GO4Align(num_groups=num_groups), np.full(7, 3.0))
        np.testing.assert_allclose(weights, 1 / 7, rtol=1e-6)


def test_a_share_that_left_the_range_of_float32_comes_back():
    balancer = GO4Align(num_groups=2, beta=100.0)
    for _ in range(3):  # the share of the first task is now exp(-300)
        weights_of(balancer, [2.0, 1.0])
    for _ in range(3):
        weights = weights_of(balancer, [1.0, 2.0])
    np.testing.assert_allclose(weights, [0.75, 0.375], rtol=1e-4)


def test_an_absent_task_keeps_its_share_in_comparison_with_the_mean():
    balancer = GO4Align(num_groups=3, beta=0.5)
    balancer.build(3)
    with balancer.on_tasks(tf.constant([2, 0])) as updates:
        balancer.scalarize([1.0, 3.0])
    log_share = updates[balancer.log_share.variable.path]
    np.testing.assert_allclose(log_share, [-0.5, 0.0, 0.5])


def test_many_tasks_of_unknown_number_are_grouped():
    balancer = GO4Align(num_groups=2, beta=0.0)
    balancer.build(40)
    losses = np.where(np.arange(40) % 3, 1.0, 4.0).astype("float32")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def rule(indices):
        with balancer.on_tasks(indices):
            return weights_of(balancer, tf.gather(losses, indices))

    for tasks in range(40), range(5), [3]:
        expected = losses[list(tasks)].mean() / losses[list(tasks)] / len(tasks)
        np.testing.assert_allclose(rule(np.array(tasks, "int32")), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_groups": 0}, "num_groups must be a whole number of at least 1; received 0"),
        ({"num_groups": 1.5}, "num_groups must be a whole number"),
        ({"beta": -1.0}, "beta must be a finite number"),
    ],
)
def test_bad_arguments_are_refused_when_the_balancer_is_made(arguments, match):
    with pytest.raises(ValueError, match=match):
        GO4Align(**arguments)
