"""The space of task weights favors no task, and says when a point lies on its bound."""

import itertools
import math

import keras
import keras_tuner
import numpy as np
import pytest
from small_search import TASKS, search

import keras_mtl as mtl
from keras_mtl.tuning._space import Space


def weights_at(*position, ratio=100.0):
    """Returns the weights at a position in the cube, in the alphabetical order of the tasks."""
    space = Space(tuple("abcdefgh"[: len(position) + 1]), ratio)
    values = {f"task_weights/axis_{i}": number for i, number in enumerate(position)}
    return list(space.weights(values).values())


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        # Golden values of an independent script in NumPy, for a ratio of 100.
        ((0.0, 0.0), (1.0, 1.0, 1.0)),
        ((1.0, 0.0), (2.702703, 0.027027, 0.270270)),
        ((0.5, -0.5), (0.996331, 0.195568, 1.808101)),
        ((1.0,), (1.980198, 0.019802)),
        ((-1.0,), (0.019802, 1.980198)),
    ],
)
def test_golden_values_of_the_isometric_log_ratio(position, expected):
    np.testing.assert_allclose(weights_at(*position), expected, atol=5e-7)


def test_weights_of_one_two_four_lie_at_their_golden_coordinates():
    # softmax(ln(1, 2, 4)) has the coordinates z = (-.490129, -.848928).
    radius = math.log(100) / math.sqrt(2)
    z = np.array([-0.490129, -0.848928])
    position = z * np.linalg.norm(z) / np.abs(z).max() / radius  # the inverse of cube to ball
    np.testing.assert_allclose(weights_at(*position), [3 / 7, 6 / 7, 12 / 7], atol=1e-6)


@pytest.mark.parametrize("num_tasks", [2, 3, 4, 8])
def test_no_weight_exceeds_ratio_times_another_and_no_task_is_favored(num_tasks):
    random = np.random.default_rng(0)
    draws = random.uniform(-1, 1, (10_000, num_tasks - 1))
    weights = np.array([weights_at(*draw, ratio=30.0) for draw in draws])
    np.testing.assert_allclose(weights.sum(1), num_tasks, rtol=1e-12)
    spread = weights.max(1) / weights.min(1)
    assert 20 < spread.max() <= 30 * (1 + 1e-9)
    logs = np.log(weights)
    deviations = (logs - logs.mean(1, keepdims=True)).std(0)
    # Before, with ratios to the first task, the first deviation was half of the others.
    assert deviations.max() < 1.03 * deviations.min()


@pytest.mark.parametrize("num_tasks", [2, 3, 4, 5])
def test_the_ball_and_the_grid_are_the_same_for_every_order_of_the_tasks(num_tasks):
    names = tuple("abcde"[:num_tasks])
    grid = Space(names, 100.0, grid=True)
    points = {
        tuple(np.round(list(grid.weights({"task_weights/grid": p}).values()), 9))
        for p in grid.grid_points()
    }
    assert len(points) == 3**num_tasks - 2**num_tasks
    for order in itertools.permutations(range(num_tasks)):
        assert {tuple(point[i] for i in order) for point in points} == points
    assert max(max(point) / min(point) for point in points) == pytest.approx(100)
    # The bound of the ball in the direction from one task to another is the ratio itself.
    space = Space(names, 100.0)
    for high, low in itertools.permutations(names, 2):
        logs = {name: 0.0 for name in names} | {high: math.log(10), low: -math.log(10)}
        weights = {name: math.exp(value) for name, value in logs.items()}
        assert space.at_bound(weights) == (high, low)
        inside = {name: weight**0.98 for name, weight in weights.items()}
        assert space.at_bound(inside) == ()


def test_equal_extremes_on_the_bound_are_all_named():
    low = math.exp(-3 * math.log(100) / math.sqrt(2) / math.sqrt(6))
    space = Space(("a", "b", "c"), 100.0)
    assert space.at_bound({"a": 1.0, "b": low, "c": 1.0}) == ("a", "c", "b")
    assert Space(("a",), 100.0).at_bound({"a": 1.0}) == ()


def test_the_first_point_of_each_tuner_is_equal_weights_or_inside():
    for grid in (False, True):
        hp = keras_tuner.HyperParameters()
        space = Space(("a", "b", "c"), 100.0, grid)
        space.declare(hp)
        assert space.weights(hp.values) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_a_grid_over_many_tasks_is_refused():
    tasks = [mtl.Task.regression(f"t{i}") for i in range(9)]
    with pytest.raises(ValueError, match="9 tasks has 19,171 points, more than 10,000"):
        search(tasks, tuner="grid")


def build_from_zero(tasks):
    """Builds a network whose numbers do not depend on the order of the tasks."""
    x = keras.Input((3,))
    network = keras.Model(x, {task.name: task.output(x) for task in tasks})
    for variable in network.trainable_variables:
        variable.assign(keras.ops.zeros_like(variable))
    network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
    return network


def search_in_order(order, tuner, max_trials, epochs=1):
    """Searches with the tasks in another order, and an objective that reads all of them."""
    return search(
        [TASKS[i] for i in order],
        build_from_zero,
        objective="mean_relative_gain",
        baselines={"z": 0.5, "a": 0.7, "m": 0.6},
        tuner=tuner,
        max_trials=max_trials,
        epochs=epochs,
    )


ALL_ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.filterwarnings("ignore:The best task weights lie on the bound")
@pytest.mark.parametrize(
    ("tuner", "max_trials", "epochs", "orders"),
    [
        ("random", 2, 1, [(0, 1, 2), (2, 1, 0), (1, 2, 0)]),
        ("bayesian", 4, 1, [(0, 1, 2), (2, 0, 1)]),
        pytest.param("bayesian", 7, 1, ALL_ORDERS, marks=pytest.mark.slow),
        pytest.param("hyperband", 4, 3, ALL_ORDERS, marks=pytest.mark.slow),
        pytest.param("grid", 5, 1, ALL_ORDERS, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_tasks_in_another_order_get_the_same_trials_and_the_same_result(
    tuner, max_trials, epochs, orders
):
    first, *reordered = [search_in_order(order, tuner, max_trials, epochs) for order in orders]
    assert len({trial.weights["z"] for trial in first.trials}) > 1
    for order, result in zip(orders[1:], reordered, strict=True):
        assert result.trials == first.trials  # weights, scores and numbers, to the last digit
        assert result.at_bound == first.at_bound
        assert [task.name for task in result.tasks] == [TASKS[i].name for i in order]
        assert {task.name: task.weight for task in result.tasks} == first.weights
