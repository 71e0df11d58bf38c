"""Balancers that follow a preference: their programs by other solvers, and their end points."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_mtl.balancers import EPO, ParetoMTL


def slow(*cases):
    """Marks cases that repeat a law that another case shows."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


def epo_by_scipy(jacobian, losses, r, epsilon=1e-4):
    """Returns EPO's weights by SciPy's solver, and whether they are those of the balancing mode."""
    gramian, ones = jacobian @ jacobian.T, np.ones((1, len(r)))
    parts = r * losses / (r @ losses)
    mu = parts @ np.log(len(r) * parts)
    a = r * (np.log(len(r) * parts) - mu)
    gains = gramian @ a
    if mu > epsilon:
        floors = np.where(gains > 0, -np.inf, gains) if (gains > 0).any() else 0 * gains
        floors[np.argmax(r * losses)] = 0
        kept = np.isfinite(floors)
        goal, sides, floors = gains, gramian[kept], floors[kept]
    else:
        goal = gramian.sum(axis=0)
        sides = np.vstack([gramian, gains])
        floors = np.append(np.zeros(len(r)), min(0, gains.max()))
    scales = np.linalg.norm(sides, axis=1)
    solution = scipy.optimize.linprog(
        -goal / np.linalg.norm(goal),
        A_ub=-sides / scales[:, None],
        b_ub=-floors / scales,
        A_eq=ones,
        b_eq=[1.0],
    )
    return (solution.x if solution.status == 0 else None), mu > epsilon


@pytest.mark.parametrize("num_tasks", [3, *slow(2, 5, 8)])
def test_epo_solves_its_linear_programs(num_tasks):
    rng, solved = np.random.default_rng(num_tasks), {True: 0, False: 0}
    r = rng.uniform(0.5, 2.0, size=num_tasks)
    balancer = EPO(preference=r.tolist())
    balancer.build(num_tasks)
    rule = tf.function(balancer.weigh)
    for trial in range(60):
        size = int(rng.integers(2, 12))
        jacobian = rng.normal(size=(num_tasks, size)) * 10 ** rng.uniform(-1, 1, (num_tasks, 1))
        spread = 1.0 if trial % 2 else 1e-3
        losses = np.exp(spread * rng.normal(size=num_tasks)) / r
        # In float64, since rounding to float32 may decide whether a constraint is met.
        expected, balancing = epo_by_scipy(jacobian, losses, r)
        gramian = tf.constant(jacobian @ jacobian.T)
        weights = rule(gramian, tf.constant(losses, "float32")).numpy()
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
        assert (weights >= 0).all()
        if expected is not None:
            solved[balancing] += 1
            # More tasks than dimensions: other weights may give the same direction.
            direction = expected @ jacobian
            error = np.linalg.norm(weights @ jacobian - direction)
            assert error < 1e-3 * np.linalg.norm(direction) + 1e-6 * np.linalg.norm(jacobian)
    assert min(solved.values()) > 20


def test_epo_misses_an_impossible_restriction_by_as_little_as_can_be():
    num_impossible = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        jacobian = rng.normal(size=(3, 4)) * [[1.0], [5.0], [25.0]]
        losses = 1 + 1e-3 * rng.normal(size=3)
        if epo_by_scipy(jacobian, losses, np.ones(3))[0] is not None:
            continue
        num_impossible += 1
        weights = EPO().weigh(jacobian @ jacobian.T, losses).numpy().astype("float64")
        gramian = jacobian @ jacobian.T
        scale = np.abs(gramian).max()
        assert (gramian @ weights > -1e-6 * scale).all()
        parts = losses / losses.sum()
        gains = gramian @ (np.log(3 * parts) - parts @ np.log(3 * parts))
        best = scipy.optimize.linprog(
            -gains / np.abs(gains).max(),
            A_ub=-gramian / scale,
            b_ub=np.zeros(3),
            A_eq=np.ones((1, 3)),
            b_eq=[1.0],
        )
        np.testing.assert_allclose(
            gains @ weights / np.abs(gains).max(), -best.fun, rtol=1e-3, atol=1e-5
        )
    assert num_impossible > 2


def concave_front(x):
    """Returns two losses with a concave Pareto front, and their Jacobian (Lin et al., 2019)."""
    center = np.ones_like(x) / np.sqrt(len(x))
    near = np.array([np.exp(-np.sum((x - sign * center) ** 2)) for sign in (1, -1)])
    jacobian = np.array([2 * near[k] * (x - sign * center) for k, sign in enumerate((1, -1))])
    return 1 - near, jacobian


def train(balancer, steps, start, rate=0.1, epoch=20):
    balancer.build(2)
    rule, x = tf.function(balancer.weigh), start
    for step in range(steps):
        losses, jacobian = concave_front(x)
        weights = rule(
            tf.constant(jacobian @ jacobian.T, "float32"), tf.constant(losses, "float32")
        ).numpy()
        x = x - rate * weights @ jacobian
        if step % epoch == epoch - 1:
            balancer.end_epoch()
    losses, jacobian = concave_front(x)
    spread = np.linalg.svd(jacobian, compute_uv=False)
    return losses, spread[1] / spread[0]  # gradients are opposed on the front


@pytest.mark.parametrize("preference", [[3.0, 1.0], *slow([1.0, 1.0], [1.0, 2.0])])
def test_epo_trains_to_the_point_of_the_front_where_proportions_are_as_asked(preference):
    start = np.random.default_rng(0).uniform(-0.4, 0.4, size=10)
    losses, opposed = train(EPO(preference=preference), 300, start)
    np.testing.assert_allclose(losses[0] * preference[0], losses[1] * preference[1], rtol=0.05)
    assert opposed < 0.02


def test_epo_gives_a_zero_gradient_no_weight_and_all_zero_equal_ones():
    weights = EPO().weigh(np.diag([1.0, 0.0, 4.0]), [1.0, 5.0, 2.0]).numpy()
    assert weights[1] == 0
    np.testing.assert_allclose(weights.sum(), 1)
    np.testing.assert_allclose(EPO().weigh(np.zeros((3, 3)), np.ones(3)), np.ones(3) / 3)
    np.testing.assert_allclose(EPO().weigh([[4.0]], [0.0]), [1.0])
    opposed = EPO().weigh([[1.0, -1.0], [-1.0, 1.0]], [2.0, 1.0]).numpy()
    assert np.isfinite(opposed).all()


def shortest_of_hull(vectors):
    """Returns the weights of the shortest vector of a hull, by non-negative least squares.

    With a row of ones for the sum, the minimum is a multiple of these weights.
    """
    scale = np.linalg.norm(vectors, axis=1).max()
    system = np.vstack([vectors.T / scale, np.ones(len(vectors))])
    target = np.append(np.zeros(vectors.shape[1]), 1.0)
    weights, _ = scipy.optimize.nnls(system, target)
    return weights / weights.sum()


def pareto_mtl_by_nnls(jacobian, losses, preferences, index, first_phase):
    units = preferences / np.linalg.norm(preferences, axis=1, keepdims=True)
    normals = units - units[index]
    active = normals[normals @ losses > 0]
    rows = np.vstack([np.eye(len(losses)), active])
    if first_phase and len(active):
        rows = active
    return shortest_of_hull(rows @ jacobian) @ rows, len(active)


@pytest.mark.parametrize(("num_tasks", "initial_epochs"), [(3, 2), (2, 0), *slow((2, 2), (3, 0))])
def test_pareto_mtl_follows_the_shortest_of_losses_and_violated_constraints(
    num_tasks, initial_epochs
):
    rng, numbers = np.random.default_rng(num_tasks), set()
    preferences = rng.uniform(0.1, 2.0, size=(6, num_tasks))
    balancer = ParetoMTL(preferences=preferences.tolist(), index=2, initial_epochs=initial_epochs)
    balancer.build(num_tasks)
    rule = tf.function(balancer.weigh)
    for _ in range(40):
        jacobian = rng.normal(size=(num_tasks, 7))
        losses = rng.uniform(0.1, 2.0, size=num_tasks)
        balancer.feasible.assign(0)
        expected, active = pareto_mtl_by_nnls(
            jacobian, losses, preferences, 2, first_phase=initial_epochs > 0
        )
        weights = rule(
            tf.constant(jacobian @ jacobian.T, "float32"), tf.constant(losses, "float32")
        ).numpy()
        error = np.linalg.norm((weights - expected) @ jacobian)
        assert error < 1e-4 * np.linalg.norm(jacobian)
        assert int(balancer.feasible.value) == (active == 0)
        numbers.add(active)
    assert 0 in numbers
    assert len(numbers) > 2


def test_pareto_mtl_leaves_the_first_phase_for_good():
    preferences, gramian = [[1.0, 0.1], [0.1, 1.0]], np.eye(2)
    balancer = ParetoMTL(preferences=preferences, index=0)
    first = balancer.weigh(gramian, [0.1, 1.0]).numpy()
    assert first[0] < 0 < first[1]  # loss 2 falls, loss 1 rises
    np.testing.assert_allclose(balancer.weigh(gramian, [1.0, 0.1]), [0.5, 0.5])
    again = balancer.weigh(gramian, [0.1, 1.0]).numpy()
    assert abs(again[0]) < 0.3 < again[1]
    by_time = ParetoMTL(preferences=preferences, index=0, initial_epochs=1)
    np.testing.assert_allclose(by_time.weigh(gramian, [0.1, 1.0]), first)
    by_time.end_epoch()
    np.testing.assert_allclose(by_time.weigh(gramian, [0.1, 1.0]), again)


@pytest.mark.parametrize("index", [0, *slow(2, 4)])
def test_pareto_mtl_trains_into_the_part_of_the_front_of_its_preference(index):
    angles = np.linspace(0.1, np.pi / 2 - 0.1, 5)
    preferences = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start = np.random.default_rng(1).uniform(-0.3, 0.3, size=10)
    balancer = ParetoMTL(preferences=preferences.tolist(), index=index)
    losses, opposed = train(balancer, 400, start, rate=0.2)
    assert np.argmax(preferences @ losses) == index
    assert opposed < 0.02


def test_preferences_go_by_task_name():
    gramian, losses = np.eye(2), [1.0, 1.0]
    by_name = EPO(preference={"b": 1.0, "a": 3.0})
    by_name.bind(["a", "b"])
    expected = EPO(preference=[3.0, 1.0]).weigh(gramian, losses)
    np.testing.assert_array_equal(by_name.weigh(gramian, losses), expected)
    vectors = [{"a": 1.0, "b": 0.0}, {"b": 1.0, "a": 0.5}]
    pareto = ParetoMTL(preferences=vectors, index=1)
    pareto.bind(["a", "b"])
    expected = ParetoMTL(preferences=[[1.0, 0.0], [0.5, 1.0]], index=1).weigh(gramian, losses)
    np.testing.assert_array_equal(pareto.weigh(gramian, losses), expected)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: EPO(preference=[1.0, 0.0]), "preference of task 1"),
        (lambda: EPO(epsilon=-1.0), "epsilon must be a finite number"),
        (lambda: ParetoMTL(preferences=[[1.0, 1.0]], index=1), "position from 0 to 0"),
        (lambda: ParetoMTL(preferences=[[1.0, -1.0]], index=0), "preferences of task 1"),
        (lambda: ParetoMTL(preferences=[[1.0]], index=0, initial_epochs=-1), "initial_epochs"),
        (lambda: ParetoMTL(preferences=[[1.0]], index=0).build(2), "1 numbers for 2 tasks"),
    ],
)
def test_bad_preferences_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
