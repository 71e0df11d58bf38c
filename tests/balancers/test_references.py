"""Gramian balancers against float64 references by other algorithms, over random Jacobians."""

import itertools

import numpy as np
import pytest
from reference_case import (
    combine,
    gramians_of,
    lengths_of,
    minimum_by_faces,
    random_jacobians,
    relative_errors,
    slow,
    weigh_all,
)

from keras_mtl.balancers import MGDA, CAGrad, PCGrad


@pytest.mark.parametrize("num_tasks", [2, 3, 8, *slow((4,), (5,), (6,), (7,))])
def test_mgda_finds_the_shortest_vector_of_the_hull(num_tasks):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    expected = combine(minimum_by_faces(gramians_of(jacobians)), jacobians)
    weights = weigh_all(MGDA(), jacobians)
    assert relative_errors(weights, jacobians, expected).max() < 1e-6
    # Rounding of a float32 Gramian, whose condition is the square of the Jacobian's.
    errors = relative_errors(weigh_all(MGDA(), jacobians, "float32"), jacobians, expected)
    assert errors.max() < 1e-3
    assert np.quantile(errors, 0.98) < 1e-4


@pytest.mark.parametrize("num_tasks", [8, *slow((3,), (5,))])
def test_mgda_comes_as_near_to_the_origin_for_nearly_dependent_gradients(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=num_tasks, condition=1e6)
    shortest = combine(minimum_by_faces(gramians_of(jacobians)), jacobians)
    direction = combine(weigh_all(MGDA(), jacobians), jacobians)
    excess = np.linalg.norm(direction, axis=1) - np.linalg.norm(shortest, axis=1)
    assert (excess < 1e-3 * lengths_of(jacobians).min(axis=1)).all()


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
    """Finds CAGrad's directions: for a multiplier t of the ball, w minimizes a quadratic.

    The quadratic is `|g_w|^2 / 2 + t g_w . g_0`. `|g_w| / t` falls as t grows, and the point is
    on the ball when it equals c |g_0|.
    """
    gramians = gramians_of(jacobians)
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
    assert errors.max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [2, 3, 4])
def test_cagrad_takes_float32_gramians_as_far_as_they_go(num_tasks):
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    weights = weigh_all(CAGrad(c=0.5), jacobians, "float32")
    errors = relative_errors(weights, jacobians, cagrad_by_bisection(jacobians, 0.5))
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
    """Applies PCGrad to the vectors themselves."""
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
    other_draws = [other.weigh(gramian, losses).numpy() for _ in range(5)]
    assert any((draw != another).any() for draw, another in zip(draws, other_draws, strict=True))
