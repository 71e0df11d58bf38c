"""NashMTL, FairGrad, IMTLG and Krum against their definitions."""

import numpy as np
import pytest
import tensorflow as tf
from reference_case import (
    combine,
    gramians_of,
    lengths_of,
    random_jacobians,
    relative_errors,
    slow,
    weigh_all,
)

from keras_mtl.balancers import IMTLG, FairGrad, Krum, NashMTL


def fair_weights(gramian, alpha):
    """Minimizes `w^T G w / 2` minus the utility of w by damped Newton steps on w alone.

    The derivative of the utility is `w^(-1/alpha)`; steps are halved until the sum falls.
    """
    power = 1 / alpha

    def value(w):
        utility = np.log(w) if power == 1 else w ** (1 - power) / (1 - power)
        return w @ gramian @ w / 2 - utility.sum()

    w = np.diag(gramian) ** (-1 / (1 + power))
    for _ in range(500):
        slope = gramian @ w - w**-power
        step = -np.linalg.solve(gramian + np.diag(power * w ** (-power - 1)), slope)
        if -slope @ step < 1e-26:
            break
        length = min(1.0, 0.99 / max((-step / w).max(), 1e-9))
        while value(w + length * step) > value(w) and length > 1e-9:
            length /= 2
        w = w + length * step
    return w


ALPHAS = [(1.0, 2), (1.0, 8), (2.0, 4), (0.3, 3), (8.0, 3)]
MORE = [(alpha, k) for alpha in (0.1, 0.5, 1.0, 2.0, 5.0) for k in range(2, 9)]


@pytest.mark.parametrize(
    ("alpha", "num_tasks"), [*ALPHAS, *slow(*[case for case in MORE if case not in ALPHAS])]
)
def test_fair_weights_minimize_their_convex_function(alpha, num_tasks):
    jacobians = random_jacobians(60, num_tasks, seed=num_tasks)
    weights = weigh_all(FairGrad(alpha=alpha), jacobians)
    expected = np.array([fair_weights(gramian, alpha) for gramian in gramians_of(jacobians)])
    errors = relative_errors(weights, jacobians, combine(expected, jacobians))
    # For extreme alphas the reference itself creeps to its minimum.
    assert np.quantile(errors, 0.95) < 1e-5
    # A second check, for all cases: the weight of each task determines its decrease.
    decrease = np.einsum("bij,bj->bi", jacobians, combine(weights, jacobians))
    wanted = weights ** (-1 / alpha)
    size = np.abs(weights * decrease).max(axis=1, keepdims=True)
    assert (np.abs(weights * (decrease - wanted)) < 1e-4 * size).all()


@pytest.mark.parametrize("num_tasks", [3, *slow((5,), (8,))])
def test_float32_gramians_give_fair_weights_as_far_as_they_go(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=num_tasks)
    exact = combine(weigh_all(FairGrad(), jacobians), jacobians)
    errors = relative_errors(weigh_all(FairGrad(), jacobians, "float32"), jacobians, exact)
    assert errors.max() < 2e-2
    assert np.quantile(errors, 0.9) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_xla_finds_the_same_fair_weights(alpha):
    jacobians = random_jacobians(200, 8, seed=8, size=100)
    expected = combine(weigh_all(FairGrad(alpha=alpha), jacobians), jacobians)
    weights = weigh_all(FairGrad(alpha=alpha), jacobians, jit_compile=True)
    assert relative_errors(weights, jacobians, expected).max() < 1e-5


@pytest.mark.parametrize("num_tasks", [4, *slow((2,), (8,))])
def test_nearly_dependent_gradients_come_to_the_same_fairness(num_tasks):
    jacobians = random_jacobians(40, num_tasks, seed=3, condition=1e6)
    direction = combine(weigh_all(NashMTL(max_norm=None), jacobians), jacobians)
    expected = [fair_weights(gramian, 1.0) for gramian in gramians_of(jacobians)]
    best = combine(np.array(expected), jacobians)

    def fairness(direction):  # mean of the logarithms, for a length of 1
        direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return np.log(np.einsum("bij,bj->bi", jacobians, direction)).mean(axis=1)

    assert (fairness(best) - fairness(direction) < 1e-3).all()


def test_the_bargain_of_two_has_a_closed_form():
    jacobians = random_jacobians(500, 2, seed=0)
    lengths, gramians = lengths_of(jacobians), gramians_of(jacobians)
    cosines = gramians[:, 0, 1] / lengths.prod(axis=1)
    expected = 1 / (lengths * np.sqrt(1 + cosines)[:, None])
    np.testing.assert_allclose(weigh_all(FairGrad(), jacobians), expected, rtol=1e-6)
    frobenius = np.sqrt(np.linalg.norm(gramians, axis=(1, 2)))[:, None]
    weights = weigh_all(NashMTL(max_norm=None), jacobians)
    np.testing.assert_allclose(weights, expected * frobenius, rtol=1e-6)
    # Its direction is the impartial one.
    impartial = combine(weigh_all(IMTLG(), jacobians), jacobians)
    impartial /= np.linalg.norm(impartial, axis=1, keepdims=True)
    direction = combine(weights, jacobians)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    np.testing.assert_allclose(impartial, direction, atol=1e-8)


@pytest.mark.parametrize("num_tasks", [5, *slow((3,), (8,))])
def test_nash_is_fairness_with_alpha_1_at_its_own_scale(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=1)
    frobenius = np.sqrt(np.linalg.norm(gramians_of(jacobians), axis=(1, 2)))[:, None]
    fair = weigh_all(FairGrad(), jacobians)
    np.testing.assert_allclose(
        weigh_all(NashMTL(max_norm=None), jacobians), fair * frobenius, rtol=1e-6
    )
    lengths = np.linalg.norm(combine(fair, jacobians), axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(num_tasks), rtol=1e-6)


@pytest.mark.parametrize("max_norm", [1.0, 0.01])
def test_the_bargained_direction_is_no_longer_than_its_limit(max_norm):
    jacobians = random_jacobians(100, 3, seed=2) * np.logspace(-4, 2, 100)[:, None, None]
    free = combine(weigh_all(NashMTL(max_norm=None), jacobians), jacobians)
    limited = combine(weigh_all(NashMTL(max_norm=max_norm), jacobians), jacobians)
    lengths = np.linalg.norm(free, axis=1, keepdims=True)
    assert (lengths > max_norm).any() and (lengths < max_norm).any()
    np.testing.assert_allclose(limited, free * np.minimum(1, max_norm / lengths), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_fair_weights_have_their_degree_in_the_length_of_gradients(alpha):
    jacobians = random_jacobians(20, 3, seed=4)
    plain = weigh_all(FairGrad(alpha=alpha), jacobians, "float32")
    for scale in (1e-6, 1e6):
        scaled = weigh_all(FairGrad(alpha=alpha), jacobians * scale, "float32")
        np.testing.assert_allclose(scaled, plain * scale ** (-2 * alpha / (1 + alpha)), rtol=1e-4)


@pytest.mark.parametrize("balancer", [NashMTL(), FairGrad(), IMTLG()], ids=lambda b: b.name)
def test_opposed_gradients_leave_next_to_no_direction(balancer):
    jacobian = np.array([[1.0, 2.0], [-1.0, -2.0], [0.5, 1.0]])[:2]
    gramian = tf.constant(jacobian @ jacobian.T, "float32")
    weights = balancer.weigh(gramian, np.ones(2)).numpy()
    assert (weights > 0).all()
    assert np.linalg.norm(weights @ jacobian) < 1e-2


@pytest.mark.parametrize("make", [NashMTL, FairGrad, IMTLG])
def test_a_gradient_of_zero_takes_no_part(make):
    jacobian = random_jacobians(1, 4, seed=0)[0] * [[1], [0], [1], [1]]
    rows = [0, 2, 3]
    weights = make().weigh(jacobian @ jacobian.T, np.ones(4)).numpy()
    alone = make().weigh(jacobian[rows] @ jacobian[rows].T, np.ones(3)).numpy()
    np.testing.assert_allclose(weights[rows], alone, rtol=1e-6)
    np.testing.assert_allclose(weights[1], alone.mean(), rtol=1e-6)
    np.testing.assert_allclose(make().weigh(np.zeros((4, 4)), np.ones(4)), 0.25)


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="max_norm"):
        NashMTL(max_norm=0.0)
    with pytest.raises(ValueError, match="alpha must be a finite number from 0 to 100"):
        FairGrad(alpha=-1.0)


def impartial(jacobian):
    """Returns the weights of the paper's closed form, with the differences to the first task."""
    units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    differences, angles = jacobian[0] - jacobian[1:], units[0] - units[1:]
    rest = np.linalg.solve((differences @ angles.T).T, (jacobian[0] @ angles.T).T)
    return np.array([1 - rest.sum(), *rest])


@pytest.mark.parametrize("num_tasks", [2, 3, 8, *slow((4,), (5,), (6,), (7,))])
def test_impartial_weights_are_those_of_the_closed_form_or_their_opposite(num_tasks):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    weights = weigh_all(IMTLG(), jacobians)
    expected = np.array([impartial(jacobian) for jacobian in jacobians])
    direction = combine(expected, jacobians)
    units = jacobians / lengths_of(jacobians)[:, :, None]
    uphill = np.einsum("bij,bj->bi", units, direction).mean(axis=1) < 0
    expected[uphill] *= -1
    assert uphill.any() == (num_tasks > 2)
    # Where weights of both signs cancel out, neither side reaches the sum of 1 exactly.
    tame = np.abs(expected).sum(axis=1) < 1e4
    assert tame.mean() > 0.9
    errors = relative_errors(weights, jacobians, combine(expected, jacobians))
    assert errors[tame].max() < 1e-5
    projections = np.einsum("bij,bj->bi", units, combine(weights, jacobians))
    assert (projections > 0).all()
    assert (np.ptp(projections, axis=1) < 1e-4 * projections.mean(axis=1)).all()


@pytest.mark.parametrize("num_tasks", [8, *slow((3,), (5,))])
def test_projections_of_nearly_dependent_gradients_are_equal(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=5, condition=1e6)
    direction = combine(weigh_all(IMTLG(), jacobians), jacobians)
    units = jacobians / lengths_of(jacobians)[:, :, None]
    projections = np.einsum("bij,bj->bi", units, direction)
    off = np.ptp(projections, axis=1) / projections.mean(axis=1)
    assert np.quantile(off, 0.95) < 1e-3


def krum(jacobian, f, m):
    scores = []
    for gradient in jacobian:
        squares = sorted(np.sum((jacobian - gradient) ** 2, axis=1))[1:]
        scores.append(sum(squares[: len(jacobian) - f - 2]))
    return np.argsort(scores)[:m]


@pytest.mark.parametrize(("f", "m"), [(0, 1), (1, 1), (1, 3), (2, 2)])
def test_krum_follows_the_gradients_nearest_to_others(f, m):
    jacobians = random_jacobians(300, 7, seed=6, spread=1.0)
    weights = weigh_all(Krum(f=f, m=m), jacobians)
    for task_weights, jacobian in zip(weights, jacobians, strict=True):
        assert set(np.flatnonzero(task_weights)) == set(krum(jacobian, f, m))
        np.testing.assert_allclose(task_weights[task_weights > 0], 1 / m, rtol=1e-6)


def test_krum_leaves_wrong_gradients_out():
    rng = np.random.default_rng(0)
    for seed in range(20):
        jacobian = rng.normal(size=(1, 50)) + 0.5 * rng.normal(size=(7, 50))
        wrong = np.random.default_rng(seed).choice(7, size=2, replace=False)
        jacobian[wrong] = -10 * jacobian[wrong]
        weights = Krum(f=2, m=3).weigh(jacobian @ jacobian.T, np.ones(7)).numpy()
        assert (weights[wrong] == 0).all() and np.isclose(weights.sum(), 1)


def test_tasks_that_tie_for_krums_last_place_share_it():
    jacobian = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [50, 0]])
    # Scores look at one neighbor: 1, 1, 1, 1 and a larger one.
    weights = Krum(f=2, m=2).weigh(jacobian @ jacobian.T, np.ones(5))
    np.testing.assert_allclose(weights, [0.25, 0.25, 0.25, 0.25, 0])


def test_krums_counts_are_whole_numbers():
    with pytest.raises(ValueError, match="f must be a whole number from 0 on; received -1"):
        Krum(f=-1)
    with pytest.raises(ValueError, match="m must be a whole number from 1 on; received 0"):
        Krum(m=0)
