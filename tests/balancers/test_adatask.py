"""AdaTask against one Adam of Keras per task, and against the faults of the authors' code."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import AdaTask

FIRST = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
SECOND = np.array([[-2.0, 1.0, 0.5], [3.0, -1.0, 2.0]])


def keras_steps(gradients, kind=keras.optimizers.Adam, **arguments):
    """Returns the steps that an optimizer takes for one task, for a learning rate of 1."""
    variable = keras.Variable(np.zeros(gradients[0].shape[-1], "float32"))
    # Keras adds epsilon before it corrects the root for its start: here it is next to nothing.
    optimizer, steps = kind(1.0, epsilon=1e-15, **arguments), []
    for gradient in gradients:
        before = variable.numpy()
        optimizer.apply([tf.constant(gradient, "float32")], [variable])
        steps.append(before - variable.numpy())
    return steps


def test_the_golden_steps_come_out():
    balancer = AdaTask()
    np.testing.assert_allclose(balancer.merge(FIRST, np.ones(2)), [0, 2, 2], atol=5e-5)
    second = balancer.merge(SECOND, np.ones(2))
    np.testing.assert_allclose(second, [0, 0.9474, 1.8974], atol=5e-5)


def test_adagrad_accumulates_the_squares_of_each_task():
    balancer = AdaTask(optimizer="adagrad")
    np.testing.assert_allclose(balancer.merge(FIRST, np.ones(2)), [0, 2, 2], atol=5e-5)
    # (-2, 1, .5) / sqrt(20, 2, 1.25) + (3, -1, 2) / sqrt(45, 2, 5); of one AdaGrad .4472, 0, .7809
    second = balancer.merge(SECOND, np.ones(2))
    np.testing.assert_allclose(second, [0, 0, 1.3416], atol=5e-5)
    assert [state.variable.name for state in balancer.states] == ["iteration", "root"]

    history = np.random.default_rng(3).normal(size=(9, 2, 4)) * [[[1e3], [1e-3]]]
    kind = keras.optimizers.Adagrad
    per_task = [keras_steps(history[:, k], kind, initial_accumulator_value=0.0) for k in (0, 1)]
    balancer = AdaTask(optimizer="adagrad", weights=[1.0, 0.5], epsilon=1e-15)
    for step, gradients in enumerate(history):
        expected = per_task[0][step] + 0.5 * per_task[1][step]
        np.testing.assert_allclose(balancer.merge(gradients, np.ones(2)), expected, atol=2e-5)


@pytest.mark.parametrize("betas", [{}, {"beta_1": 0.0, "beta_2": 0.9}])
def test_the_direction_is_the_weighted_sum_of_one_adam_per_task(betas):
    rng = np.random.default_rng(0)
    history = rng.normal(size=(12, 3, 5)) * [[[1], [1e3], [1e-3]]]
    weights = [1.0, 0.5, 2.0]
    per_task = [keras_steps(history[:, task], **betas) for task in range(3)]
    balancer = AdaTask(weights=weights, epsilon=1e-15, **betas)
    for step, gradients in enumerate(history):
        expected = sum(weights[task] * per_task[task][step] for task in range(3))
        np.testing.assert_allclose(balancer.merge(gradients, np.ones(3)), expected, atol=2e-4)


def test_a_scale_of_a_loss_changes_no_step_and_a_weight_does():
    history = np.random.default_rng(1).normal(size=(4, 2, 3))
    plain, scaled, weighted = AdaTask(epsilon=0.0), AdaTask(epsilon=0.0), AdaTask(weights=[1, 100])
    for gradients in history:
        expected = plain.merge(gradients, np.ones(2)).numpy()
        result = scaled.merge(gradients * [[1.0], [100.0]], np.ones(2))
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
        assert abs(weighted.merge(gradients, np.ones(2)).numpy()).max() > 20


def test_an_absent_task_keeps_its_moments_and_its_count():
    history = np.random.default_rng(2).normal(size=(6, 2, 4))
    balancer = AdaTask()
    balancer.lay_out([4])
    balancer.build(2)
    alone = keras_steps(history[[0, 2, 4], 1])  # the second task takes part in every other step
    always = keras_steps(history[:, 0])
    for step, gradients in enumerate(history):
        tasks = [0] if step % 2 else [0, 1]
        with balancer.on_tasks(tf.constant(tasks)) as updates:
            result = balancer.merge(gradients[tasks], np.ones(len(tasks)))
        for state in balancer.states:
            state.variable.assign(updates.get(state.variable.path, state.variable))
        expected = always[step] + (0 if step % 2 else alone[step // 2])
        np.testing.assert_allclose(result, expected, atol=2e-4)
    np.testing.assert_array_equal(balancer.count.variable, [6, 3])


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e30])
def test_gradients_of_any_size_take_steps_of_size_1(size):
    balancer = AdaTask(epsilon=0.0)
    for _ in range(3):
        direction = balancer.merge(np.array([[size, -size], [1.0, 0.0]]), np.ones(2))
        np.testing.assert_allclose(direction, [2.0, -1.0], rtol=1e-5)


def test_a_variable_that_a_task_does_not_reach_stands_still_for_it():
    direction = AdaTask().merge(np.array([[0.0, 3.0], [2.0, 0.0]]), np.ones(2))
    np.testing.assert_allclose(direction, [1, 1], rtol=1e-5)


def test_adatask_refuses_negative_weights_and_a_beta_of_1():
    with pytest.raises(ValueError, match="weights of task 1 must be a finite number"):
        AdaTask(weights=[1.0, -1.0])
    with pytest.raises(ValueError, match="beta_2 must be a finite number"):
        AdaTask(beta_2=1.0)
    with pytest.raises(ValueError, match=r"'adagrad' has no betas; received beta_1=0\.5"):
        AdaTask(optimizer="adagrad", beta_1=0.5)
    with pytest.raises(ValueError, match="optimizer must be 'adam' or 'adagrad'; received 'rms'"):
        AdaTask(optimizer="rms")
