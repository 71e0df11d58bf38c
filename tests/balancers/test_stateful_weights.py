"""Gramian balancers with state, against replays in float64 by other algorithms."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_mtl.balancers import CRMOGM, MGDA, PCD, ConFIG, GradNorm, GradVac, Needs, PCGrad


def drifting_jacobians(count, num_tasks, size, seed, noise=0.7):
    """Draws Jacobians with rows of unequal length, whose cosines vary around fixed means."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(num_tasks, size))
    lengths = 10.0 ** rng.uniform(-1, 1, size=(num_tasks, 1))
    return [(mean + noise * rng.normal(size=mean.shape)) * lengths for _ in range(count)]


def stepper(balancer, num_tasks):
    """Returns the rule as a function of a Jacobian and losses, traced once."""
    balancer.build(num_tasks)

    @tf.function
    def step(jacobian, losses):
        return balancer.weigh(jacobian @ tf.transpose(jacobian), losses)

    def run(jacobian, losses=None):
        losses = np.ones(num_tasks) if losses is None else losses
        weights = step(tf.constant(jacobian, "float32"), tf.constant(losses, "float32"))
        return weights.numpy().astype("float64")

    return run


def assert_same_direction(weights, jacobian, expected, rtol=1e-4):
    size = max(np.linalg.norm(expected), 1e-3 * np.abs(weights) @ np.linalg.norm(jacobian, axis=1))
    assert np.linalg.norm(weights @ jacobian - expected) < rtol * size


def vaccinated(jacobian, goals, beta, orders):
    """Applies GradVac to the vectors themselves: returns the sum, and the averages afterwards."""
    goals, total = goals.copy(), np.zeros(jacobian.shape[1])
    for i, order in enumerate(orders):
        g = jacobian[i].copy()
        for j in order:
            other, goal = jacobian[j], goals[i, j]
            phi = g @ other / np.linalg.norm(g) / np.linalg.norm(other)
            if phi < goal:
                # The multiple of `other` after which the angle is the goal's, by sines.
                needed, angle = np.arccos(goal), np.arccos(phi)
                unit = other / np.linalg.norm(other)
                g = g + np.linalg.norm(g) * np.sin(angle - needed) / np.sin(needed) * unit
            goals[i, j] = (1 - beta) * goal + beta * phi
        total += g
    return total, goals


@pytest.mark.parametrize(("num_tasks", "count"), [(2, 60), (3, 15)])
def test_gradvac_turns_gradients_to_their_average_similarity_in_some_order(num_tasks, count):
    balancer, beta, turned = GradVac(beta=0.3), 0.3, 0
    run = stepper(balancer, num_tasks)
    other_tasks = [[j for j in range(num_tasks) if j != i] for i in range(num_tasks)]
    orders = list(itertools.product(*[list(itertools.permutations(o)) for o in other_tasks]))
    for jacobian in drifting_jacobians(count, num_tasks, 8, seed=num_tasks):
        goals, direction = balancer.similarity.value.numpy(), run(jacobian) @ jacobian
        after, length = balancer.similarity.value.numpy(), np.linalg.norm(direction)
        candidates = [vaccinated(jacobian, goals, beta, order) for order in orders]
        assert any(
            np.linalg.norm(direction - total) < 1e-4 * length and np.allclose(after, new, atol=1e-5)
            for total, new in candidates
        )
        turned += np.linalg.norm(direction - jacobian.sum(axis=0)) > 1e-3 * length
    assert turned > count / 3


def test_gradvac_follows_similarities_also_where_it_turns_nothing():
    balancer = GradVac(beta=0.5)
    for _ in range(2):
        weights = balancer.weigh([[1.0, 0.6], [0.6, 1.0]], [1.0, 1.0])
        np.testing.assert_allclose(weights, [1.0, 1.0])
    np.testing.assert_allclose(balancer.similarity.value, [[0, 0.45], [0.45, 0]], rtol=1e-6)
    # Less similar than on average, though not in conflict: turned.
    assert (balancer.weigh([[1.0, 0.1], [0.1, 1.0]], [1.0, 1.0]).numpy() > 1.3).all()


def test_gradvac_without_averages_is_pcgrad():
    first, second = stepper(GradVac(beta=0.0, seed=5), 4), stepper(PCGrad(seed=5), 4)
    for jacobian in drifting_jacobians(5, 4, 6, seed=1):
        np.testing.assert_allclose(first(jacobian), second(jacobian), rtol=1e-5)


def test_gradvac_keeps_the_averages_of_gradients_that_are_zero():
    balancer = GradVac(beta=0.5)
    balancer.weigh(0.5 + 0.5 * np.eye(3), np.ones(3))
    before = balancer.similarity.value.numpy()
    weights = balancer.weigh(np.diag([1.0, 0.0, 1.0]), np.ones(3))
    after = balancer.similarity.value.numpy()
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert (after[0, 2], after[2, 0]) == (0.125, 0.125)
    np.testing.assert_allclose(weights[1], 1.0)


def test_gradvac_cancels_opposed_gradients_and_then_stands_still():
    balancer = GradVac(beta=0.5)
    weights = balancer.weigh([[1.0, -1.0], [-1.0, 1.0]], [1.0, 1.0]).numpy()
    np.testing.assert_allclose(weights[0], weights[1])


def grad_loss(weights, lengths, targets):
    return np.abs(weights * lengths - targets).sum()


def test_gradnorm_descends_on_lengths_towards_targets_of_each_tasks_own_rate():
    alpha, rate, num_tasks = 1.5, 0.03, 3
    run, rng = (
        stepper(GradNorm(alpha=alpha, learning_rate=rate), num_tasks),
        np.random.default_rng(0),
    )
    weights, initial = np.ones(num_tasks), None
    momentum, velocity = np.zeros(num_tasks), np.zeros(num_tasks)
    for step in range(1, 31):
        jacobian = rng.normal(size=(num_tasks, 9)) * [[1.0], [1.5], [0.7]]
        losses = np.exp(-np.array([0.01, 0.02, 0.002]) * step) * [1.0, 5.0, 2.0]
        np.testing.assert_allclose(run(jacobian, losses), weights, atol=1e-4)
        initial = losses if initial is None else initial
        lengths = np.linalg.norm(jacobian, axis=1)
        rates = losses / initial
        targets = (weights * lengths).mean() * (rates / rates.mean()) ** alpha
        # The derivative of L_grad by differences, the targets held constant.
        steps = 1e-7 * np.eye(num_tasks)
        slope = np.array([
            grad_loss(weights + s, lengths, targets) - grad_loss(weights - s, lengths, targets)
            for s in steps
        ]) / 2e-7  # fmt: skip
        momentum = 0.9 * momentum + 0.1 * slope
        velocity = 0.999 * velocity + 0.001 * slope**2
        adapted = np.sqrt(velocity / (1 - 0.999**step)) + 1e-8
        weights = weights - rate * momentum / (1 - 0.9**step) / adapted
        weights = num_tasks * weights / weights.sum()


def test_gradnorm_has_the_targets_and_slopes_of_the_table():
    balancer = GradNorm(alpha=1.5, initial_losses=1.0)
    balancer.weigh(np.diag([4.0, 64.0]), [0.8, 0.4])
    np.testing.assert_allclose(balancer.descent.momentum.value, [-0.2, 0.8], rtol=1e-5)
    targets = balancer.targets(np.array([2.0, 8.0]), np.array([0.8, 0.4]))
    np.testing.assert_allclose(targets, [7.6980, 2.7217], atol=1e-4)
    np.testing.assert_allclose(np.abs([2, 8] - targets.numpy()).sum(), 10.9763, atol=1e-4)


def test_gradnorm_favors_the_slow_task_and_not_the_shorter_gradient():
    balancer = GradNorm(alpha=1.5, initial_losses=[1.0, 1.0])
    # With one target for both, weights would move the other way.
    balancer.weigh(np.diag([16.0, 36.0]), [0.2, 1.8])
    np.testing.assert_allclose(balancer.descent.momentum.value, [0.4, -0.6], rtol=1e-5)
    first, second = balancer.weigh(np.diag([16.0, 36.0]), [0.2, 1.8]).numpy()
    assert first < 1 < second


def test_gradnorm_keeps_what_present_tasks_have_of_the_whole():
    balancer = GradNorm(learning_rate=0.2)
    for _ in range(3):
        balancer.weigh(np.diag([1.0, 9.0, 25.0]), np.ones(3))
    before = balancer.task_weight.value.numpy()
    with balancer.on_tasks(tf.constant([0, 2])) as updates:
        weights = balancer.weigh(np.diag([1.0, 25.0]), np.ones(2)).numpy()
    after = np.asarray(updates[balancer.task_weight.variable.path])
    np.testing.assert_allclose(weights, 2 * before[[0, 2]] / before[[0, 2]].sum(), rtol=1e-6)
    assert after[1] == before[1]
    np.testing.assert_allclose(after.sum(), 3, rtol=1e-6)
    assert after[0] > before[0]


def test_gradnorm_holds_weights_above_0_and_waits_for_a_first_loss():
    balancer = GradNorm(learning_rate=0.5)
    for _ in range(10):
        weights = balancer.weigh(np.diag([1.0, 1e8]), [1.0, 0.0]).numpy()
        assert (weights > 0).all()
        np.testing.assert_allclose(weights.sum(), 2, rtol=1e-6)
    np.testing.assert_allclose(balancer.initial.value, [1.0, 0.0])
    balancer.weigh(np.eye(2), [2.0, 3.0])
    np.testing.assert_allclose(balancer.initial.value, [1.0, 3.0])


def test_cr_mogm_averages_the_weights_of_the_other():
    run, other, alpha = stepper(CRMOGM(MGDA(), alpha=0.8), 3), stepper(MGDA(), 3), 0.8
    expected = None
    for jacobian in drifting_jacobians(10, 3, 6, seed=2, noise=2.0):
        new = other(jacobian)
        expected = new if expected is None else alpha * expected + (1 - alpha) * new
        np.testing.assert_allclose(run(jacobian), expected, rtol=1e-5)


def test_cr_mogm_goes_on_from_the_last_weights_of_a_task_that_was_absent():
    balancer = CRMOGM(GradNorm(learning_rate=0.1), alpha=0.5)
    balancer.build(3)
    gramian = np.diag([1.0, 4.0, 9.0])
    with balancer.on_tasks(tf.constant([0, 2])) as updates:
        balancer.weigh(gramian[[0, 2]][:, [0, 2]], np.ones(2))
    assert all(not state.variable.numpy().any() for state in (balancer.smooth, balancer.seen))
    assert (np.asarray(updates[balancer.seen.variable.path]) == [1, 0, 1]).all()
    inner = balancer.balancer.task_weight.variable
    np.testing.assert_array_equal(inner, np.ones(3))  # not yet
    assert np.asarray(updates[inner.path])[0] > 1 > np.asarray(updates[inner.path])[2]


def test_cr_mogm_declares_and_passes_on_what_the_other_needs():
    class Ahead(MGDA):
        needs = Needs(second_batch=True)

        def look_ahead_weights(self):
            return tf.constant([2.0, 3.0])

    balancer = CRMOGM(Ahead())
    assert balancer.needs == Needs(second_batch=True)
    assert CRMOGM(MGDA()).needs == Needs()
    assert CRMOGM(GradNorm()).needs == GradNorm.needs == Needs(lengths_only=True)
    assert balancer.look_ahead_weights().numpy().tolist() == [2, 3]
    balancer.bind(["a", "b"])
    balancer.build(2)
    assert balancer.balancer.task_names == ("a", "b")
    assert balancer.balancer.iteration in balancer.states


def test_gradnorm_reads_lengths_alone():
    jacobian = drifting_jacobians(1, 4, 5, seed=0)[0]
    gramian, losses = jacobian @ jacobian.T, [1.0, 2.0, 0.5, 3.0]
    whole, lengths = GradNorm(), GradNorm()
    for _ in range(3):
        weights = whole.weigh(gramian, losses)
        np.testing.assert_array_equal(lengths.weigh(np.diag(np.diag(gramian)), losses), weights)


def test_cr_mogm_refuses_what_is_no_gramian_balancer():
    with pytest.raises(TypeError, match=r"such as MGDA\(\); received 'MGDA'"):
        CRMOGM("MGDA")
    with pytest.raises(ValueError, match="alpha must be a finite number from 0 to 1"):
        CRMOGM(MGDA(), alpha=1.5)


@pytest.mark.parametrize(("num_tasks", "size"), [(2, 3), (4, 9), (6, 3)])
def test_config_is_the_pseudo_inverse_of_the_unit_gradients(num_tasks, size):
    run, rng = stepper(ConFIG(), num_tasks), np.random.default_rng(num_tasks)
    for _ in range(50):
        jacobian = rng.normal(size=(num_tasks, size)) * 10 ** rng.uniform(-2, 2, (num_tasks, 1))
        units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
        u = np.linalg.pinv(units) @ np.ones(num_tasks)
        u /= np.linalg.norm(u)
        weights = run(jacobian)
        # The rounding of a float32 Gramian when gradients are nearly linearly dependent.
        rounding = 1e-6 / np.linalg.svd(units, compute_uv=False)[min(num_tasks, size) - 1] ** 2
        assert_same_direction(weights, jacobian, (jacobian @ u).sum() * u, max(1e-4, rounding))
        if num_tasks <= size:
            cosines = units @ (weights @ jacobian)
            np.testing.assert_allclose(cosines, cosines.mean(), rtol=1e-2)


def test_config_leaves_out_zero_gradients_and_gives_up_where_gradients_cancel():
    both = ConFIG().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0]).numpy()
    gramian = np.array([[18.0, 0, -22.0], [0, 0, 0], [-22.0, 0, 38.0]])
    weights = ConFIG().weigh(gramian, np.ones(3)).numpy()
    np.testing.assert_allclose(weights[[0, 2]], both, rtol=1e-6)
    opposed = np.array([[1.0, -2.0], [-2.0, 4.0]])
    np.testing.assert_array_equal(ConFIG().weigh(opposed, np.ones(2)), [0, 0])
    equal = ConFIG().weigh(np.ones((3, 3)), np.ones(3)).numpy()
    np.testing.assert_allclose(equal, np.ones(3), rtol=1e-5)


def least_distance(normals, floors):
    """Finds the shortest x with `normals x >= floors`, by non-negative least squares; or None.

    Lawson & Hanson, Solving Least Squares Problems, chapter 23.
    """
    system = np.vstack([normals.T, floors])
    target = np.append(np.zeros(normals.shape[1]), 1.0)
    solution, residual = scipy.optimize.nnls(system, target)
    if residual < 1e-8:
        return None
    left = system @ solution - target
    return -left[:-1] / left[-1]


@pytest.mark.parametrize(
    ("num_tasks", "size"),
    [(4, 5), *[pytest.param(*case, marks=pytest.mark.slow) for case in ((2, 4), (5, 12))]],
)
def test_pcd_stays_as_near_the_primary_gradient_as_the_others_allow(num_tasks, size):
    tau, beta, primary = 0.3, 0.9, num_tasks - 1
    run = stepper(PCD(primary=primary, tau=tau, beta=beta), num_tasks)
    squares, changed, alone = np.zeros(num_tasks), 0, 0
    for t, jacobian in enumerate(drifting_jacobians(60, num_tasks, size, seed=3, noise=1.5), 1):
        lengths = np.linalg.norm(jacobian, axis=1)
        squares = beta * squares + (1 - beta) * lengths**2
        h = jacobian / np.sqrt(squares / (1 - beta**t))[:, None]
        secondary = np.delete(h, primary, axis=0)
        floors = tau * (secondary**2).sum(axis=1) - secondary @ h[primary]
        x = least_distance(secondary, floors)
        alone += x is None
        d = h[primary] + (0 if x is None else x)
        expected = d * lengths[primary] / np.linalg.norm(d)
        weights = run(jacobian)
        error = np.linalg.norm(weights @ jacobian - expected)
        assert error < 1e-3 * lengths[primary]
        changed += np.linalg.norm(expected - jacobian[primary]) > 1e-3 * lengths[primary]
    assert changed > 20
    assert alone < 30


def test_pcd_drops_demands_that_contradict_each_other():
    jacobian = np.array([[1.0, 0.3, 0.0], [0.0, 2.0, 0.0], [0.0, -1.0, 0.0]])
    weights = PCD().weigh(jacobian @ jacobian.T, np.ones(3)).numpy()
    np.testing.assert_allclose(weights, [1.0, 0.0, 0.0], atol=1e-6)


def test_pcd_averages_over_the_steps_of_each_task_by_itself():
    balancer, jacobian = PCD(tau=0.5), np.array([[1.0, 0.0], [-3.0, 4.0]])
    balancer.build(2)
    with balancer.on_tasks(tf.constant([0])) as updates:
        balancer.weigh([[1.0]], [1.0])
    for state in balancer.states:
        state.variable.assign(updates[state.variable.path])
    # Both are of length 1 after division by their averages: h_2 = (-0.6, 0.8).
    direction = balancer.weigh(jacobian @ jacobian.T, np.ones(2)).numpy() @ jacobian
    expected = np.array([1.0, 0.0]) + (0.5 + 0.6) * np.array([-0.6, 0.8])
    np.testing.assert_allclose(direction, expected / np.linalg.norm(expected), rtol=1e-5)


def test_pcd_moves_nothing_without_its_primary_task():
    gramian = np.array([[1.0, 0.5], [0.5, 1.0]])
    balancer = PCD(primary="c")
    balancer.bind(["a", "b", "c"])
    balancer.build(3)
    with balancer.on_tasks(tf.constant([0, 1])):
        np.testing.assert_array_equal(balancer.weigh(gramian, np.ones(2)), [0, 0])
    zero = np.diag([0.0, 1.0, 1.0])
    np.testing.assert_array_equal(PCD().weigh(zero, np.ones(3)), [0, 0, 0])
    one = PCD()
    one.build(3)
    with one.on_tasks(tf.constant([0])):
        np.testing.assert_allclose(one.weigh([[4.0]], [1.0]), [1.0])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: PCD(primary=1.5), TypeError, "primary must be the name of a task"),
        (lambda: PCD(primary=2).build(2), ValueError, "position from 0 to 1; received 2"),
        (lambda: PCD(primary="a").build(2), ValueError, "no names are known"),
        (lambda: PCD(tau=1.5), ValueError, "tau must be a finite number from 0 to 1"),
        (lambda: GradVac(beta=-0.1), ValueError, "beta must be a finite number"),
        (lambda: GradNorm(alpha=-1.0), ValueError, "alpha must be a finite number"),
        (lambda: GradNorm(initial_losses=[1.0, 0.0]), ValueError, "initial_losses of task 1"),
    ],
)
def test_bad_arguments_of_balancers_with_state_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_main_task_that_does_not_exist_is_refused_by_name():
    balancer = PCD(primary="z")
    balancer.bind(["a", "b"])
    with pytest.raises(ValueError, match=r"one of the tasks \('a', 'b'\); received 'z'"):
        balancer.build(2)
