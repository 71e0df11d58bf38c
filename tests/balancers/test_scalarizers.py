"""Loss balancers that are functions of the losses: closed forms and other ways to the values."""

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf

from keras_mtl.balancers import (
    COSMOS,
    IMTLL,
    PBI,
    STCH,
    GeometricMean,
    ScaleInvariant,
    Tchebycheff,
    Uncertainty,
    UncertaintySoftmax,
)

PREFERENCE = [0.2, 0.5, 0.3]
REFERENCE = [0.1, -0.5, 0.0]


def derivatives(balancer, losses):
    losses = tf.constant(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return float(scalar), tape.gradient(scalar, losses).numpy()


def penalized(losses):
    """Computes PBI by least squares: the nearest point of the ray, and the distance from it."""
    ray, moved = np.array(PREFERENCE)[:, None], losses - np.array(REFERENCE)
    factor, residual, *_ = np.linalg.lstsq(ray, moved, rcond=None)
    return factor[0] * np.linalg.norm(ray) + 2 * math.sqrt(residual[0])


BY_ANOTHER_ROAD = {
    "ScaleInvariant": (ScaleInvariant(), lambda losses: math.log(np.prod(losses))),
    "GeometricMean": (GeometricMean(), scipy.stats.gmean),
    "IMTLL": (IMTLL(initial=0.5), lambda losses: math.exp(0.5) * losses.sum() - 1.5),
    "STCH": (
        STCH(mu=0.3, preference=PREFERENCE, reference=REFERENCE),
        lambda losses: (
            0.3 * math.log(np.exp(np.array(PREFERENCE) * (losses - REFERENCE) / 0.3).sum())
        ),
    ),
    "Tchebycheff": (
        Tchebycheff(preference=PREFERENCE, reference=REFERENCE),
        lambda losses: np.linalg.norm(np.multiply(PREFERENCE, losses - REFERENCE), ord=np.inf),
    ),
    "PBI": (PBI(theta=2.0, preference=PREFERENCE, reference=REFERENCE), penalized),
    "COSMOS": (
        COSMOS(lambda_=3.0, preference=PREFERENCE),
        lambda losses: (
            np.dot(PREFERENCE, losses) + 3 * scipy.spatial.distance.cosine(PREFERENCE, losses) - 3
        ),
    ),
}


@pytest.mark.parametrize("name", BY_ANOTHER_ROAD)
def test_values_and_weights_are_those_of_another_road(name):
    balancer, reference = BY_ANOTHER_ROAD[name]
    for seed in range(5):
        losses = np.random.default_rng(seed).uniform(0.2, 3, size=3)
        shifts = 1e-5 * np.eye(3)
        slopes = [(reference(losses + h) - reference(losses - h)) / 2e-5 for h in shifts]
        scalar, weights = derivatives(balancer, losses)
        np.testing.assert_allclose(scalar, reference(losses), rtol=1e-5)
        np.testing.assert_allclose(weights, slopes, rtol=1e-4, atol=1e-5)


def test_a_solved_task_has_no_weight_and_a_tiny_loss_its_inverse():
    _, weights = derivatives(ScaleInvariant(), [0.0, 1e-20, 1e-31])
    np.testing.assert_allclose(weights, [0, 1e20, 0], rtol=1e-5)
    _, weights = derivatives(GeometricMean(), [0.0, 1e10])
    assert weights[0] == 0 and weights[1] > 0


def test_the_geometric_mean_of_many_losses_leaves_no_digits():
    scalar, weights = derivatives(GeometricMean(), np.full(64, 1e-20))
    np.testing.assert_allclose(scalar, 1e-20, rtol=1e-4)
    np.testing.assert_allclose(weights, 1 / 64, rtol=1e-4)


def test_learned_uncertainty_comes_to_the_sum_of_logarithms():
    losses = np.array([0.3, 2.0, 40.0])
    uncertainty = Uncertainty()
    uncertainty.build(3)
    uncertainty.log_variance.assign(np.log(losses))
    value, weights = derivatives(uncertainty, losses)
    logs, slopes = derivatives(ScaleInvariant(), losses)
    np.testing.assert_allclose(value, 0.5 * (3 + logs), rtol=1e-6)
    np.testing.assert_allclose(weights, 0.5 * slopes, rtol=1e-6)
    mean, directions = derivatives(GeometricMean(), losses)
    np.testing.assert_allclose(mean, math.exp(logs / 3), rtol=1e-6)
    np.testing.assert_allclose(directions, slopes * mean / 3, rtol=1e-6)


def test_the_softmax_of_uncertainty_is_over_inverse_losses():
    losses = np.array([0.5, 1.0, 4.0])
    scalar, weights = derivatives(UncertaintySoftmax(temperature=0.5), losses)
    expected = np.exp([4.0, 2.0, 0.5]) / np.exp([4.0, 2.0, 0.5]).sum()
    np.testing.assert_allclose(weights, expected, rtol=1e-6)  # 1 / L is not differentiated
    np.testing.assert_allclose(scalar, expected @ losses, rtol=1e-6)
    _, weights = derivatives(UncertaintySoftmax(temperature=1e6), losses)
    np.testing.assert_allclose(weights, 1 / 3, rtol=1e-5)


def test_imtl_l_is_twice_uncertainty_with_the_sign_of_its_variable_turned():
    losses, logs = np.array([0.3, 2.0, 40.0]), np.array([0.1, -0.7, 2.0])
    imtl, uncertainty = IMTLL(), Uncertainty()
    imtl.build(3)
    uncertainty.build(3)
    imtl.log_scale.assign(logs)
    uncertainty.log_variance.assign(-logs)
    value, weights = derivatives(imtl, losses)
    half, halves = derivatives(uncertainty, losses)
    np.testing.assert_allclose(value, 2 * half, rtol=1e-6)
    np.testing.assert_allclose(weights, 2 * halves, rtol=1e-6)


def test_imtl_l_learns_to_scale_every_loss_to_one():
    balancer, losses = IMTLL(), tf.constant([4.0, 0.5])
    balancer.build(2)
    (variable,) = balancer.trainable_variables
    for _ in range(100):
        with tf.GradientTape() as tape:
            scalar = balancer.scalarize(losses)
        variable.assign_sub(0.3 * tape.gradient(scalar, variable.value))
    np.testing.assert_allclose(np.exp(variable) * losses, 1, rtol=1e-4)


def test_stch_gives_the_golden_value_and_weights():
    scalar, weights = derivatives(STCH(mu=1.0), [1.0, 2.0])
    np.testing.assert_allclose(scalar, 1.474077, rtol=1e-6)
    np.testing.assert_allclose(weights, [0.18877, 0.31123], atol=5e-6)


def test_stch_without_smoothing_is_tchebycheff_and_with_much_of_it_the_mean():
    losses = [1.0, 0.9, 0.4]
    sharp = derivatives(STCH(mu=1e-3, preference=PREFERENCE), losses)
    hard = derivatives(Tchebycheff(preference=PREFERENCE), losses)
    np.testing.assert_allclose(sharp[0], hard[0], rtol=1e-5)
    np.testing.assert_allclose(sharp[1], hard[1], atol=1e-5)
    _, weights = derivatives(STCH(mu=1e4, preference=PREFERENCE), losses)
    np.testing.assert_allclose(weights, np.array(PREFERENCE) / 3, rtol=1e-3)


def run_epoch(balancer, *steps):
    results = [derivatives(balancer, losses) for losses in steps]
    balancer.end_epoch()
    return results


def test_stch_with_a_warm_up_records_each_scale_before_it_balances():
    balancer = STCH(mu=0.5, warmup_epochs=1)
    balancer.build(2)
    for losses in [1.0, 5.0], [2.0, 4.0]:  # the warm-up, and the recording by two steps
        ((scalar, weights), _) = run_epoch(balancer, losses, [6.0, 8.0])
        np.testing.assert_allclose(scalar, np.log(losses).sum(), rtol=1e-6)
        np.testing.assert_allclose(weights, 1 / np.array(losses), rtol=1e-6)
    np.testing.assert_allclose(balancer.mean.variable, [4.0, 6.0], rtol=1e-6)
    losses = np.array([1.0, 3.0])
    ((scalar, weights),) = run_epoch(balancer, losses)
    ratios = (losses / [4.0, 6.0]) ** (1 / 0.5)
    np.testing.assert_allclose(scalar, 2 * 0.5 * math.log(ratios.sum()), rtol=1e-5)
    np.testing.assert_allclose(weights, 2 * ratios / ratios.sum() / losses, rtol=1e-5)
    np.testing.assert_allclose(balancer.mean.variable, [4.0, 6.0], rtol=1e-6)


def test_stch_records_a_task_that_missed_the_recording_when_it_comes():
    balancer = STCH(warmup_epochs=0)
    balancer.build(2)
    with balancer.on_tasks(tf.constant([0])) as updates:
        balancer.scalarize([2.0])
    for state in balancer.states:
        state.assign(updates.get(state.variable.path, state.variable))
    balancer.end_epoch()
    derivatives(balancer, [2.0, 3.0])
    derivatives(balancer, [9.0, 9.0])
    np.testing.assert_allclose(balancer.mean.variable, [2.0, 3.0])


def test_equally_bad_tasks_share_the_weight_of_the_worst():
    _, weights = derivatives(Tchebycheff(), [3.0, 1.0, 3.0])
    np.testing.assert_allclose(weights, [1 / 6, 0, 1 / 6], rtol=1e-6)


def test_losses_on_the_ray_are_only_moved_along_it():
    ray = np.array(PREFERENCE) / np.linalg.norm(PREFERENCE)
    for factor in 1e-20, 0.7, 1e20:
        _, weights = derivatives(PBI(preference=PREFERENCE), factor * np.array(PREFERENCE))
        np.testing.assert_allclose(weights, ray, rtol=1e-6)
    _, weights = derivatives(PBI(theta=5.0, preference=PREFERENCE), [1.0, 1.0, 2.0])
    np.testing.assert_allclose(np.linalg.norm(weights), math.sqrt(26), rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_the_unit_of_the_losses_changes_no_weight_of_pbi(factor):
    losses = np.array([1.0, 1.0, 2.0])
    _, plain = derivatives(PBI(preference=PREFERENCE), losses)
    _, scaled = derivatives(PBI(preference=PREFERENCE), losses * factor)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5)


def test_pbi_weighs_a_task_below_the_ray_negatively():
    _, weights = derivatives(PBI(theta=5.0), [1.0, 3.0])
    np.testing.assert_allclose(weights, np.array([1 - 5, 1 + 5]) / math.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize("kind", [STCH, Tchebycheff, PBI, COSMOS])
def test_a_preference_is_shared_by_the_tasks_that_take_part(kind):
    has_reference = kind is not COSMOS
    balancer = kind(preference=PREFERENCE, **{"reference": REFERENCE} if has_reference else {})
    balancer.build(3)
    with balancer.on_tasks(tf.constant([2, 0])):
        some = derivatives(balancer, [1.0, 3.0])
    alone = kind(preference=[0.6, 0.4], **{"reference": [0.0, 0.1]} if has_reference else {})
    expected = derivatives(alone, [1.0, 3.0])
    np.testing.assert_allclose(some[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(some[1], expected[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: UncertaintySoftmax(temperature=0.0), "temperature must be"),
        (lambda: IMTLL(initial=50.0), "initial must be"),
        (lambda: STCH(mu=0.0), "mu must be"),
        (lambda: STCH(preference=[1.0, 0.0]), "preference of task 1"),
        (lambda: STCH(warmup_epochs=0.5), "whole number of epochs"),
        (lambda: STCH(warmup_epochs=-1), "whole number of epochs"),
        (lambda: STCH(warmup_epochs=4, preference=[1.0, 2.0]), "leave them out"),
        (lambda: STCH(warmup_epochs=4, reference=0.5), "leave them out"),
        (lambda: Tchebycheff(reference=math.nan), "reference must be"),
        (lambda: Tchebycheff(preference={"a": 1.0, "b": -1.0}), "preference of task 'b'"),
        (lambda: PBI(theta=-1.0), "theta must be"),
        (lambda: PBI(preference=[1.0, math.inf]), "preference of task 1"),
        (lambda: COSMOS(alpha=0.0), "alpha must be"),
        (lambda: COSMOS(lambda_=-1.0), "lambda_ must be"),
        (lambda: COSMOS(seed=-1), "seed must be"),
    ],
)
def test_bad_arguments_of_scalarizers_are_refused_when_they_are_made(make, match):
    with pytest.raises(ValueError, match=match):
        make()
