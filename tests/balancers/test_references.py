"""Gramian balancers against float64 references by other algorithms, over random Jacobians."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers import MGDA, CAGrad, PCGrad


def random_jacobians(count, num_tasks, seed, condition=100.0, spread=4.0):
    """Jacobians of condition 1 to `condition`, half of them with rows of unlike length."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(count, num_tasks, num_tasks)))[0]
    right = np.linalg.qr(rng.normal(size=(count, num_tasks + 3, num_tasks)))[0]
    conditions = condition ** rng.uniform(size=(count, 1))
    values = conditions ** -np.linspace(0, 1, num_tasks)
    jacobians = np.einsum("bij,bj,bnj->bin", left, values, right)
    spreads = np.where(np.arange(count) % 2, spread, 0)[:, None, None]
    return jacobians * 10 ** (spreads * rng.uniform(-0.5, 0.5, size=(count, num_tasks, 1)))


def weigh_all(balancer, jacobians):
    gramians = tf.constant(jacobians @ jacobians.transpose(0, 2, 1), "float32")
    losses = tf.ones(gramians.shape[1])
    balancer.build(gramians.shape[1])

    def weigh(gramian):
        with balancer.on_tasks(None):
            return balancer.weigh(gramian, losses)

    # One compiled loop over all of them.
    weights = tf.function(lambda all: tf.map_fn(weigh, all), jit_compile=True)(gramians)
    return weights.numpy().astype("float64")


def combine(weights, jacobians):
    return np.einsum("bi,bij->bj", weights, jacobians)


def relative_errors(weights, jacobians, expected):
    errors = np.linalg.norm(combine(weights, jacobians) - expected, axis=1)
    return errors / np.linalg.norm(expected, axis=1)


def minimum_by_faces(gramians, linear=None):
    """Minimises `w^T G w / 2 + b^T w` over the simplex: the best stationary point of a face.

    Exact, and another algorithm: 2^K linear systems.
    """
    count, num_tasks = gramians.shape[:2]
    lengths = np.sqrt(np.einsum("bii->bi", gramians))
    scale = lengths.min(axis=1, keepdims=True)
    ones = scale / lengths
    cosines = gramians / lengths[:, :, None] / lengths[:, None]
    linear = np.zeros_like(ones) if linear is None else linear / lengths / scale
    best, weights = np.full(count, np.inf), np.zeros((count, num_tasks))
    for size in range(1, num_tasks + 1):
        for face in map(list, itertools.combinations(range(num_tasks), size)):
            matrix = cosines[:, face][:, :, face]
            right = np.stack([ones[:, face], linear[:, face]], axis=2)
            level, pull = np.moveaxis(np.linalg.solve(matrix, right), 2, 0)
            total = np.sum(ones[:, face] * level, axis=1)
            needed = (1 + np.sum(ones[:, face] * pull, axis=1)) / total
            here = needed[:, None] * level - pull
            value = np.einsum("bi,bij,bj->b", here, matrix, here) / 2
            value += np.sum(here * linear[:, face], axis=1)
            better = (here >= 0).all(axis=1) & (value < best)
            best[better] = value[better]
            weights[better] = 0
            weights[np.ix_(better, face)] = (here * ones[:, face])[better]
    return weights


def slow(*cases):
    """Cases that compile under XLA for seconds, and repeat what another one shows."""
    return [pytest.param(*each, marks=pytest.mark.slow) for each in cases]


@pytest.mark.parametrize("num_tasks", [2, 3, 8, *slow((4,), (5,), (6,), (7,))])
def test_mgda_finds_the_shortest_vector_of_the_hull(num_tasks):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    weights = weigh_all(MGDA(), jacobians)
    reference = minimum_by_faces(jacobians @ jacobians.transpose(0, 2, 1))
    errors = relative_errors(weights, jacobians, combine(reference, jacobians))
    # Float32 Gramians of condition 1e4 leave this much.
    assert errors.max() < 5e-4
    assert np.quantile(errors, 0.98) < 1e-4


def test_mgda_meets_its_conditions_of_optimality_with_64_tasks():
    jacobians = random_jacobians(20, 64, seed=0, condition=10.0, spread=2.0)
    weights = weigh_all(MGDA(), jacobians)
    direction = combine(weights, jacobians)
    # Every gradient goes at least as far along the shortest vector as that vector itself.
    along = np.einsum("bij,bj->bi", jacobians, direction)
    assert (along.min(axis=1) > (1 - 1e-3) * np.sum(direction**2, axis=1)).all()


@pytest.mark.parametrize("normalization", ["l2", "loss", "loss+"])
def test_mgda_divides_gradients_before_it_weighs_them(normalization):
    jacobian, losses = random_jacobians(1, 3, seed=5)[0] * [[1], [10], [0.1]], [0.5, 2.0, 4.0]
    sizes = np.ones(3)
    if normalization != "loss":
        sizes = sizes * np.linalg.norm(jacobian, axis=1)
    if normalization != "l2":
        sizes = sizes * losses
    divided = (jacobian / sizes[:, None])[None]
    expected = minimum_by_faces(divided @ divided.transpose(0, 2, 1))[0]
    weights = MGDA(normalization=normalization).weigh(jacobian @ jacobian.T, losses)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def cagrad_by_bisection(jacobians, c):
    """For a multiplier t of the ball, w minimises `|g_w|^2 / 2 + t g_w . g_0`.

    `|g_w| / t` falls in t, and the ball is met where it is c |g_0|.
    """
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    mean = jacobians.mean(axis=1)
    radius = c * np.linalg.norm(mean, axis=1)
    low, high = np.full(len(mean), -35.0), np.full(len(mean), 35.0)
    for _ in range(60):
        middle = (low + high) / 2
        t = np.exp(middle)
        combined = combine(
            minimum_by_faces(gramians, t[:, None] * gramians.mean(axis=2)), jacobians
        )
        too_far = np.linalg.norm(combined, axis=1) > t * radius
        low, high = np.where(too_far, middle, low), np.where(too_far, high, middle)
    return mean + combined / t[:, None]


@pytest.mark.parametrize(
    ("num_tasks", "c"),
    [
        *[(2, 0.1), (3, 0.5), (4, 0.9)],
        *slow((2, 0.5), (2, 0.9), (3, 0.1), (3, 0.9), (4, 0.1), (4, 0.5)),
    ],
)
def test_cagrad_finds_the_best_worst_case_in_the_ball(num_tasks, c):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    weights = weigh_all(CAGrad(c=c), jacobians)
    errors = relative_errors(weights, jacobians, cagrad_by_bisection(jacobians, c))
    assert errors.max() < 1e-3
    assert np.quantile(errors, 0.98) < 1e-4


@pytest.mark.parametrize("num_tasks", [64, *slow((8,))])
def test_no_point_near_cagrads_direction_serves_the_worst_task_better(num_tasks):
    jacobians, c = random_jacobians(50, num_tasks, seed=1, condition=10.0, spread=1.0), 0.5
    weights = weigh_all(CAGrad(c=c), jacobians)
    direction, mean = combine(weights, jacobians), jacobians.mean(axis=1)
    radius = c * np.linalg.norm(mean, axis=1, keepdims=True)
    from_mean = direction - mean
    np.testing.assert_allclose(np.linalg.norm(from_mean, axis=1), radius[:, 0], rtol=1e-4)
    # Weak duality: for any w on the simplex, g_w . g_0 + c |g_0| |g_w| bounds the worst case.
    worst = np.einsum("bij,bj->bi", jacobians, direction).min(axis=1)
    weights = np.maximum(weights - 1 / num_tasks, 0)
    combined = combine(weights / weights.sum(axis=1, keepdims=True), jacobians)
    lengths = np.linalg.norm(combined, axis=1)
    bound = np.sum(combined * mean, axis=1) + radius[:, 0] * lengths
    assert (bound - worst < 1e-3 * radius[:, 0] * lengths).all()


def projected(jacobian, orders):
    """PCGrad on the vectors themselves."""
    total = np.zeros(jacobian.shape[1])
    for task, order in enumerate(orders):
        gradient = jacobian[task].copy()
        for other in order:
            dot = gradient @ jacobian[other]
            if other != task and dot < 0:
                gradient -= dot / (jacobian[other] @ jacobian[other]) * jacobian[other]
        total += gradient
    return total


@pytest.mark.parametrize(("num_tasks", "count"), [(2, 2000), (3, 200)])
def test_pcgrad_sums_projected_gradients_in_some_order(num_tasks, count):
    jacobians = random_jacobians(count, num_tasks, seed=7)
    directions = combine(weigh_all(PCGrad(), jacobians), jacobians)
    orders = list(itertools.permutations(range(num_tasks)))
    for jacobian, direction in zip(jacobians, directions, strict=True):
        candidates = [
            projected(jacobian, chosen) for chosen in itertools.product(orders, repeat=num_tasks)
        ]
        size = np.linalg.norm(jacobian, axis=1).max()
        assert min(np.linalg.norm(direction - other) for other in candidates) < 1e-4 * size


def test_pcgrad_takes_another_order_at_another_step():
    jacobian = random_jacobians(1, 6, seed=3)[0]
    gramian, losses = jacobian @ jacobian.T, np.ones(6)
    balancer, other = PCGrad(seed=1), PCGrad(seed=2)
    draws = [balancer.weigh(gramian, losses).numpy() for _ in range(5)]
    assert len({draw.tobytes() for draw in draws}) > 1
    again = PCGrad(seed=1)
    for draw in draws:
        np.testing.assert_array_equal(again.weigh(gramian, losses), draw)
    others = [other.weigh(gramian, losses).numpy() for _ in range(5)]
    assert any((draw != another).any() for draw, another in zip(draws, others, strict=True))
