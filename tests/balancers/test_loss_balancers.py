"""Equal, Fixed, Uncertainty and DWA: their weights, state and arguments."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import DWA, Equal, Fixed, Uncertainty


def weights_of(balancer, losses):
    losses = tf.constant(losses)
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses).numpy()


def test_equal_is_the_sum():
    assert float(Equal().scalarize([1.0, 2.0, 4.5])) == 7.5


def test_fixed_weights_go_to_the_tasks_they_name():
    balancer = Fixed({"b": 1.0, "a": 2.0, "c": 4.0})
    balancer.bind(["c", "a", "b"])
    np.testing.assert_array_equal(weights_of(balancer, [1.0, 1.0, 1.0]), [4, 2, 1])


def test_fixed_weights_by_name_survive_a_round_trip():
    balancer = Fixed({"b": 1.0, "a": 2.0})
    balancer.bind(["a", "b"])
    balancer.build(2)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(balancer))
    np.testing.assert_array_equal(weights_of(copy, [1.0, 1.0]), [2, 1])


def test_fixed_weights_can_be_changed_while_a_compiled_step_runs():
    balancer = Fixed([1.0, 2.0])
    balancer.build(2)
    step = tf.function(lambda losses: balancer.scalarize(losses))
    assert float(step(tf.ones(2))) == 3
    balancer.task_weights.assign([5.0, 0.0])
    assert float(step(tf.ones(2))) == 5


def test_both_forms_of_uncertainty_reach_half_the_mean_of_one_plus_log_loss():
    losses = np.array([0.3, 2.0, 40.0])
    # At its best s, the regression form is (1 + log L) / 2, with weight 1 / (2 L).
    balancer = Uncertainty()
    balancer.build(3)
    balancer.log_variance.assign(np.log(losses))
    assert math.isclose(balancer.scalarize(losses), 0.5 * np.sum(1 + np.log(losses)), rel_tol=1e-6)
    np.testing.assert_allclose(weights_of(balancer, losses.astype("float32")), 0.5 / losses)
    other = Uncertainty(regression=False)
    other.build(3)
    other.log_variance.assign(np.log(2 * losses))
    np.testing.assert_allclose(weights_of(other, losses.astype("float32")), 0.5 / losses)


@pytest.mark.parametrize("regression", [True, False])
def test_revised_uncertainty_is_least_where_calculus_says_and_stays_positive(regression):
    losses = np.array([1e-4, 0.3, 40.0])
    scaled = losses * (0.5 if regression else 1.0)
    variance = (scaled + np.sqrt(scaled**2 + 4 * scaled)) / 2
    balancer = Uncertainty(regression=regression, revised=True)
    balancer.build(3)
    totals = []
    for shift in -0.1, 0.0, 0.1:
        balancer.log_variance.assign(np.log(variance) + shift)
        totals.append(float(balancer.scalarize(losses)))
    assert totals[1] == min(totals)
    np.testing.assert_allclose(totals[1], np.sum(scaled / variance + np.log1p(variance)), rtol=1e-6)
    for log_variance in -20.0, 0.0, 20.0:
        balancer.log_variance.assign(np.full(3, log_variance))
        assert float(balancer.scalarize(losses)) > 0


@pytest.mark.parametrize("regression", [True, False, [True, False]])
def test_uncertainty_is_learned_by_gradient_descent(regression):
    balancer = Uncertainty(regression=regression, initial=0.5)
    balancer.build(2)
    losses = tf.constant([4.0, 0.5])
    (variable,) = balancer.trainable_variables
    for _ in range(100):
        with tf.GradientTape() as tape:
            scalar = balancer.scalarize(losses)
        variable.assign_sub(0.5 * tape.gradient(scalar, variable.value))
    forms = np.broadcast_to(regression, 2)
    np.testing.assert_allclose(variable, np.log(losses * np.where(forms, 1, 2)), atol=1e-3)


def test_uncertainty_learns_nothing_of_a_task_that_is_absent():
    balancer = Uncertainty()
    balancer.build(3)
    with tf.GradientTape() as tape, balancer.on_tasks(tf.constant([2, 0])):
        scalar = balancer.scalarize(tf.constant([4.0, 6.0]))
    gradient = tape.gradient(scalar, balancer.log_variance.variable.value)
    # d/ds of exp(-s) L / 2 + s / 2 at s = 0, for tasks 2 and 0.
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), [-2.5, 0.0, -1.5])


def run_epoch(balancer, *steps):
    for losses in steps:
        balancer.scalarize(losses)
    balancer.end_epoch()


def test_dwa_gives_the_golden_weights_after_two_epochs():
    balancer = DWA(temperature=2.0)
    run_epoch(balancer, [0.5, 1.0], [1.5, 1.0])
    np.testing.assert_array_equal(balancer.task_weights(), [1, 1])
    run_epoch(balancer, [0.8, 0.4], [1.0, 0.6])
    np.testing.assert_allclose(balancer.task_weights(), [1.09967, 0.90033], atol=1e-5)
    np.testing.assert_allclose(weights_of(balancer, [3.0, 3.0]), [1.09967, 0.90033], atol=1e-5)


def test_dwa_over_a_window_needs_no_epochs():
    balancer = DWA(window=2)
    for losses in [0.5, 1.0], [1.5, 1.0], [0.8, 0.4], [1.0, 0.6]:
        balancer.scalarize(losses)
        balancer.end_epoch()
    np.testing.assert_allclose(balancer.task_weights(), [1.09967, 0.90033], atol=1e-5)


def test_dwa_keeps_the_rate_of_a_task_that_an_epoch_never_saw():
    balancer = DWA()
    run_epoch(balancer, [1.0, 1.0])
    run_epoch(balancer, [0.9, 0.5])
    with balancer.on_tasks(tf.constant([0])) as updates:
        balancer.scalarize([0.9])
    for state in balancer.states:
        state.assign(updates.get(state.variable.path, state.variable))
    balancer.end_epoch()
    np.testing.assert_allclose(balancer.rate.variable, [1.0, 0.5])
    np.testing.assert_allclose(balancer.previous.variable, [0.9, 0.5])


def test_an_epoch_may_end_before_anything_was_built():
    balancer = DWA()
    balancer.end_epoch()
    assert not balancer.built


def test_dwa_stays_finite_where_losses_vanish():
    balancer = DWA()
    for losses in [1e-38, 1.0], [1e30, 0.0], [1.0, 0.0], [0.0, 1e-30]:
        run_epoch(balancer, losses)
        assert np.isfinite(balancer.task_weights()).all()
        assert math.isclose(np.sum(balancer.task_weights()), 2.0, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Fixed([1.0, -1.0]), "weights of task 1 must be a finite number"),
        (lambda: Fixed({"a": 1.0, "b": math.nan}), "weights of task 'b' .* received nan"),
        (lambda: Fixed([0.0, 0.0]), "not all be zero"),
        (lambda: DWA(temperature=0.0), "temperature must be"),
        (lambda: DWA(window=0), "whole number of steps"),
        (lambda: Uncertainty(initial=math.inf), "initial must be"),
        (lambda: Uncertainty(regression=[True, 2]), "regression of task 1"),
    ],
)
def test_bad_arguments_are_refused_when_the_balancer_is_made(make, match):
    with pytest.raises(ValueError, match=match):
        make()
