"""GradientGate against the paper's rule, with averages in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import GradientGate


def gramian_of(*rows):
    rows = np.array(rows, "float64")
    return rows @ rows.T


def gramians_in_time(count, num_tasks, seed):
    rng = np.random.default_rng(seed)
    return [gramian_of(*rng.normal(size=(num_tasks, 4))) for _ in range(count)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_the_gate_follows_the_average_cosine_with_the_main_task(weighted, ema):
    balancer, average, opened = GradientGate(main=1, weighted=weighted, ema=ema), np.zeros(3), []
    for step, gramian in enumerate(gramians_in_time(20, 3, seed=0), 1):
        lengths = np.sqrt(np.diag(gramian))
        average = ema * average + (1 - ema) * gramian[1] / (lengths * lengths[1])
        cosine = average / (1 - ema**step)
        expected = np.maximum(cosine, 0) if weighted else (cosine >= 0).astype(float)
        expected[1] = 1
        np.testing.assert_allclose(balancer.weigh(gramian, np.ones(3)), expected, atol=1e-5)
        opened.append(expected[0] > 0)
    assert 0 < np.mean(opened) < 1


def test_the_golden_weights_of_the_weighted_gate_come_out():
    rows = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 2.0]])
    weights = GradientGate(weighted=True).weigh(gramian_of(*rows), np.ones(2)).numpy()
    np.testing.assert_allclose(weights, [1.0, 0.5270], atol=5e-5)
    np.testing.assert_allclose(weights @ rows, [3.527, 2.0541, 1.0541], atol=5e-5)


def test_the_main_task_may_be_named_and_opens_its_side_of_a_conflict():
    balancer = GradientGate(main="click")
    balancer.bind(["view", "click"])
    np.testing.assert_array_equal(balancer.weigh(gramian_of([-4, 1], [6, 1]), np.ones(2)), [0, 1])


def test_a_right_angle_leaves_the_gate_open():
    np.testing.assert_array_equal(GradientGate().weigh(gramian_of([1, 0], [0, 1]), [1, 1]), [1, 1])


def test_gates_stay_in_steps_without_the_main_task_and_with_zero_gradients():
    balancer = GradientGate()
    balancer.build(3)
    first = balancer.weigh(gramian_of([1, 0], [-1, 1], [1, 1]), np.ones(3))
    np.testing.assert_array_equal(first, [1, 0, 1])
    before = balancer.similarity.variable.numpy()
    with balancer.on_tasks(tf.constant([2, 1])) as updates:
        weights = balancer.weigh(gramian_of([1, 1], [1, 1]), np.ones(2))
    np.testing.assert_array_equal(weights, [1, 0])
    np.testing.assert_array_equal(updates[balancer.similarity.variable.path], before)
    weights = balancer.weigh(gramian_of([0, 0], [1, 1], [1, 1]), np.ones(3))
    np.testing.assert_array_equal(weights, [1, 0, 1])
    np.testing.assert_array_equal(balancer.similarity.variable, before)


def test_a_task_that_never_met_the_main_task_has_weight_1():
    for weighted in False, True:
        balancer = GradientGate(weighted=weighted)
        balancer.build(3)
        with balancer.on_tasks(tf.constant([1, 2])):
            weights = balancer.weigh(gramian_of([1, 0], [-1, 0]), np.ones(2))
        np.testing.assert_array_equal(weights, [1, 1])


def test_gates_refuse_an_average_and_a_main_task_that_cannot_be():
    with pytest.raises(ValueError, match="ema must be a finite number from 0 to 1; received 1"):
        GradientGate(ema=1.0)
    with pytest.raises(TypeError, match="main must be the name of a task"):
        GradientGate(main=0.5)
    balancer = GradientGate(main="buy")
    balancer.bind(["view", "click"])
    with pytest.raises(ValueError, match=r"main must be one of the tasks .*received 'buy'"):
        balancer.build(2)
