"""Gradient balancers against replays in float64 by other algorithms."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_mtl.balancers import DBMTL, ExcessMTL, MConFIG, MetaBalance, MoCo, TrimmedMean


def gradients_in_time(count, num_tasks, size, seed, lengths=1.0):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(num_tasks, size))
    lengths = np.reshape(np.broadcast_to(lengths, num_tasks), (-1, 1))
    return [(mean + rng.normal(size=mean.shape)) * lengths for _ in range(count)]


def stepper(balancer, sizes, num_tasks):
    balancer.lay_out(sizes)
    balancer.build(num_tasks)
    rule = tf.function(balancer.merge)

    def run(gradients, losses=None):
        losses = np.ones(num_tasks) if losses is None else losses
        return rule(tf.constant(gradients, "float32"), tf.constant(losses, "float32")).numpy()

    return run


def nearest_of_simplex(point):
    """Projects a point onto the simplex, by bisection for the amount subtracted from each entry."""
    low, high = point.min() - 1, point.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_moco_averages_gradients_and_steps_on_the_simplex(rho):
    beta, beta_sigma, gamma, gamma_sigma = 0.6, 0.3, 0.2, 0.5
    run = stepper(
        MoCo(beta=beta, beta_sigma=beta_sigma, gamma=gamma, gamma_sigma=gamma_sigma, rho=rho),
        [7],
        3,
    )
    y, weights, inside = np.zeros((3, 7)), np.ones(3) / 3, 0
    for t, gradients in enumerate(gradients_in_time(30, 3, 7, seed=0), 1):
        y = y - beta / t**beta_sigma * (y - gradients)
        slope = y @ (y.T @ weights) + rho * weights
        weights = nearest_of_simplex(weights - gamma / t**gamma_sigma * slope)
        np.testing.assert_allclose(run(gradients), weights @ y, rtol=1e-4, atol=1e-5)
        inside += (weights > 0).all()
    assert inside > 5


def test_moco_keeps_the_simplex_under_steps_of_any_length():
    balancer = MoCo()
    gradients = np.array([[1e9, 0.0], [0.0, 2e9]])
    for _ in range(3):
        assert np.isfinite(balancer.merge(gradients, np.ones(2))).all()
        weights = balancer.task_weight.value.numpy()
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize(("beta", "beta_sigma"), [(0.9, 0.0), (0.9, 0.5), (0.0, 0.0)])
def test_db_mtl_makes_averages_of_log_losses_equally_long(beta, beta_sigma):
    run, rng = stepper(DBMTL(beta=beta, beta_sigma=beta_sigma), [4, 3], 3), np.random.default_rng(1)
    y = np.zeros((3, 7))
    for t, gradients in enumerate(gradients_in_time(10, 3, 7, seed=1, lengths=[1, 9, 0.1]), 1):
        losses = rng.uniform(0.1, 5, size=3)
        b = beta / t**beta_sigma
        y = b * y + (1 - b) * gradients / losses[:, None]
        lengths = np.linalg.norm(y, axis=1)
        expected = sum(lengths.max() * row / length for row, length in zip(y, lengths, strict=True))
        np.testing.assert_allclose(run(gradients, losses), expected, rtol=1e-4, atol=1e-5)


def test_db_mtl_passes_over_gradients_of_zero_and_losses_near_it():
    gradients = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(DBMTL(beta=0.0).merge(gradients, [1.0, 1.0]), [3, 4], rtol=1e-6)
    assert np.isfinite(DBMTL().merge(gradients, [0.0, -1.0])).all()


@pytest.mark.parametrize("warmup", [1, 3])
def test_excess_mtl_multiplies_weights_by_relative_excess_risks(warmup):
    eta = 2.0
    run = stepper(ExcessMTL(eta=eta, warmup=warmup), [7], 3)
    squares, weights, first = np.zeros((3, 7)), np.ones(3) / 3, []
    for gradients in gradients_in_time(15, 3, 7, seed=2, lengths=[1, 30, 0.01]):
        squares += gradients**2
        excess = np.array([
            g @ np.diag(1 / np.sqrt(s)) @ g for g, s in zip(gradients, squares, strict=True)
        ])  # fmt: skip
        if len(first) < warmup:
            first.append(excess)
        else:
            weights = weights * np.exp(eta * excess / np.mean(first, axis=0))
            weights /= weights.sum()
        expected = weights @ gradients
        np.testing.assert_allclose(run(gradients), expected, rtol=1e-4, atol=1e-4)
    assert weights.max() > 0.35


def test_excess_mtl_waits_for_a_first_gradient_and_bounds_what_follows():
    balancer = ExcessMTL(eta=1.0)
    balancer.merge([[0.0, 0.0], [1.0, 0.0]], np.ones(2))
    np.testing.assert_array_equal(balancer.count.value, [0, 1])
    for scale in (1e-6, 1e6, 1.0):
        direction = balancer.merge([[scale, 0.0], [1.0, 0.0]], np.ones(2))
        assert np.isfinite(direction).all()
    np.testing.assert_allclose(np.exp(balancer.log_weight.value).sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: ExcessMTL(eta=2.0), lambda: MoCo(gamma=0.3)])
def test_present_tasks_keep_what_they_have_of_the_whole(make):
    balancer, gradients = make(), gradients_in_time(5, 4, 6, seed=3)
    for step in range(4):
        balancer.merge(gradients[step], np.ones(4))

    def whole(value):
        return np.exp(value) if isinstance(balancer, ExcessMTL) else np.asarray(value)

    state = balancer.log_weight if isinstance(balancer, ExcessMTL) else balancer.task_weight
    before = whole(state.value.numpy())
    with balancer.on_tasks(tf.constant([3, 1])) as updates:
        balancer.merge(gradients[4][[3, 1]], np.ones(2))
    after = whole(updates[state.variable.path])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_allclose(after.sum(), 1, rtol=1e-5)
    assert not np.allclose(after, before)


@pytest.mark.parametrize("adjust", ["both", "reduce", "enlarge"])
def test_meta_balance_brings_each_tensor_near_the_targets_length(adjust):
    relax, beta, sizes = 0.6, 0.8, [2, 1, 4]
    run = stepper(MetaBalance(target=1, relax=relax, beta=beta, adjust=adjust), sizes, 3)
    ends = np.cumsum(sizes)[:-1]
    magnitudes = np.zeros((3, 3))
    for gradients in gradients_in_time(10, 3, 7, seed=4, lengths=[8, 1, 0.2]):
        expected = []
        for part, tensor in enumerate(np.split(gradients, ends, axis=1)):
            for task in range(3):
                length = np.sqrt((tensor[task] ** 2).sum())
                magnitudes[task, part] = beta * magnitudes[task, part] + (1 - beta) * length
            total = np.zeros(tensor.shape[1])
            for task in range(3):
                length, goal = magnitudes[task, part], magnitudes[1, part]
                ratio = goal / length
                shorter, longer = length < goal, length > goal
                if (adjust == "reduce" and shorter) or (adjust == "enlarge" and longer):
                    ratio = 1.0
                total += tensor[task] * ratio * relax + tensor[task] * (1 - relax)
            expected.append(total)
        np.testing.assert_allclose(run(gradients), np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_meta_balance_goes_by_the_targets_last_average_while_it_is_absent():
    balancer = MetaBalance(target="b", relax=1.0)
    balancer.bind(["a", "b"])
    balancer.lay_out([2])
    balancer.build(2)
    with balancer.on_tasks(tf.constant([0])):  # the target was never seen: unchanged
        np.testing.assert_allclose(balancer.merge([[3.0, 4.0]], [1.0]), [3, 4])
    balancer.merge([[3.0, 4.0], [1.0, 0.0]], np.ones(2))
    with balancer.on_tasks(tf.constant([0])):
        np.testing.assert_allclose(balancer.merge([[3.0, 4.0]], [1.0]), [0.6, 0.8], rtol=1e-6)


def test_averages_are_over_the_steps_of_each_task_by_itself():
    for make, expected in (
        (lambda: MetaBalance(relax=1.0), [0.6, 0.8 + 1]),
        (lambda: DBMTL(beta=0.5, beta_sigma=1.0), [0.5 * 5 * 0.6, 0.5 * 5 * 0.8 + 0.5 * 5]),
        (lambda: MoCo(beta=1.0, beta_sigma=1.0, gamma=0.0), [0.5 * 3, 0.5 * (4 + 1)]),
    ):
        balancer = make()
        balancer.lay_out([2])
        balancer.build(2)
        for _ in range(2):
            with balancer.on_tasks(tf.constant([0])) as updates:
                balancer.merge([[0.0, 1.0]], [1.0])
            for state in balancer.states:
                state.variable.assign(updates.get(state.variable.path, state.variable))
        direction = balancer.merge([[0.0, 1.0], [3.0, 4.0]], np.ones(2))
        np.testing.assert_allclose(direction, expected, rtol=1e-5)


def test_meta_balance_leaves_alone_variables_that_its_target_does_not_reach():
    balancer = MetaBalance(relax=1.0)
    balancer.lay_out([1, 1])
    direction = balancer.merge([[0.0, 2.0], [5.0, 8.0]], np.ones(2)).numpy()
    np.testing.assert_allclose(direction, [5.0, 4.0], rtol=1e-6)


def pseudo_inverse_direction(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    u = np.linalg.pinv(units) @ np.ones(len(vectors))
    u /= np.linalg.norm(u)
    return (vectors @ u).sum() * u


def test_m_config_divides_the_direction_of_averages_by_its_own_average_size():
    beta_1, beta_2 = 0.8, 0.95
    run = stepper(MConFIG(beta_1=beta_1, beta_2=beta_2), [3, 4], 3)
    momenta, pseudo, square = np.zeros((3, 7)), np.zeros(7), np.zeros(7)
    for t, gradients in enumerate(gradients_in_time(12, 3, 7, seed=5, lengths=[1, 20, 0.3]), 1):
        momenta = beta_1 * momenta + (1 - beta_1) * gradients
        config = pseudo_inverse_direction(momenta / (1 - beta_1**t))
        new = config * (1 - beta_1**t)
        fake, pseudo = (new - beta_1 * pseudo) / (1 - beta_1), new
        square = beta_2 * square + (1 - beta_2) * fake**2
        expected = config / (np.sqrt(square / (1 - beta_2**t)) + 1e-8)
        np.testing.assert_allclose(run(gradients), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("num_tasks", "trim", "left_out"), [(5, 1, 1), (5, 2, 2), (4, 2, 1), (2, 1, 0)]
)
def test_trimmed_mean_leaves_out_the_ends_of_each_entry(num_tasks, trim, left_out):
    gradients = gradients_in_time(1, num_tasks, 9, seed=6)[0]
    direction = TrimmedMean(trim=trim).merge(gradients, np.ones(num_tasks))
    expected = scipy.stats.trim_mean(gradients, left_out / num_tasks + 1e-9, axis=0)
    np.testing.assert_allclose(direction, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: TrimmedMean(trim=-1), ValueError, "trim must be a whole number"),
        (lambda: MoCo(beta=1.5), ValueError, "beta must be a finite number from 0 to 1"),
        (lambda: MoCo(rho=-1.0), ValueError, "rho must be a finite number"),
        (lambda: DBMTL(beta=1.0), ValueError, "beta must be a finite number"),
        (lambda: ExcessMTL(warmup=0), ValueError, "warmup must be a whole number of steps"),
        (lambda: MetaBalance(adjust="shrink"), ValueError, "adjust must be one of"),
        (lambda: MetaBalance(target=None), TypeError, "target must be the name of a task"),
        (lambda: MConFIG(beta_1=1.0), ValueError, "beta_1 must be a finite number"),
    ],
)
def test_bad_arguments_of_gradient_balancers_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
