"""UPGrad, DualProj and PEMTL against solutions on the gradients themselves."""

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
from scipy.optimize import nnls

from keras_mtl.balancers import PEMTL, DualProj, UPGrad


def projected(jacobian, vector):
    """Finds the nearest vector that conflicts with no gradient, by Lawson & Hanson's active set.

    The result is the vector minus its projection onto the polar cone, that of `-J^T u`, u >= 0.
    """
    units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    size = np.linalg.norm(vector)
    return vector + units.T @ nnls(units.T, -vector / size, maxiter=1000)[0] * size


def upgrad(jacobian):
    return np.mean([projected(jacobian, gradient) for gradient in jacobian], axis=0)


def dual_proj(jacobian):
    return projected(jacobian, jacobian.mean(axis=0))


CONES = {"UPGrad": (UPGrad, upgrad), "DualProj": (DualProj, dual_proj)}
everyday = [("UPGrad", 2), ("UPGrad", 3), ("UPGrad", 8), ("DualProj", 2), ("DualProj", 5)]
rest = [case for case in itertools.product(CONES, range(2, 9)) if case not in everyday]


@pytest.mark.parametrize(("name", "num_tasks"), [*everyday, *slow(*rest)])
def test_gradients_are_projected_onto_the_dual_cone(name, num_tasks):
    make, reference = CONES[name]
    jacobians = random_jacobians(400, num_tasks, seed=num_tasks)
    expected = np.array([reference(jacobian) for jacobian in jacobians])
    weights = weigh_all(make(), jacobians)
    assert relative_errors(weights, jacobians, expected).max() < 1e-6
    # Rounding of a float32 Gramian, whose condition is the square of the Jacobian's.
    errors = relative_errors(weigh_all(make(), jacobians, "float32"), jacobians, expected)
    assert errors.max() < 1e-3
    assert np.quantile(errors, 0.98) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", CONES)
@pytest.mark.parametrize("size", [8, 100, 1000])
def test_xla_projects_as_exactly_in_any_dimension(name, size):
    make, reference = CONES[name]
    jacobians = random_jacobians(200, 8, seed=size, size=size)
    expected = np.array([reference(jacobian) for jacobian in jacobians])
    weights = weigh_all(make(), jacobians, jit_compile=True)
    assert relative_errors(weights, jacobians, expected).max() < 1e-6


@pytest.mark.parametrize(("name", "num_tasks"), [("UPGrad", 8), *slow(("UPGrad", 4), *rest[-4:])])
def test_nearly_dependent_gradients_are_projected_almost_as_near(name, num_tasks):
    make, reference = CONES[name]
    jacobians = random_jacobians(200, num_tasks, seed=num_tasks, condition=1e6)
    expected = np.array([reference(jacobian) for jacobian in jacobians])
    errors = np.linalg.norm(combine(weigh_all(make(), jacobians), jacobians) - expected, axis=1)
    assert (errors < 1e-3 * lengths_of(jacobians).mean(axis=1)).all()


@pytest.mark.parametrize("name", CONES)
@pytest.mark.parametrize("size", [2, *slow((10,))])
def test_more_tasks_than_dimensions_are_projected_too(name, size):
    make, reference = CONES[name]
    num_tasks = 8 if size == 2 else 64
    jacobians = np.random.default_rng(size).normal(size=(20, num_tasks, size))
    jacobians[0, :, 0] = np.abs(jacobians[0, :, 0])  # a cone that is more than the origin
    expected = np.array([reference(jacobian) for jacobian in jacobians])
    for precision, limit in (("float64", 1e-6), ("float32", 1e-3)):
        weights = weigh_all(make(), jacobians, precision)
        errors = np.linalg.norm(combine(weights, jacobians) - expected, axis=1)
        assert (errors < limit * lengths_of(jacobians).mean(axis=1)).all()


def test_equal_gradients_are_projected_with_equal_weights():
    jacobian = np.array([[1.0, 0.0], [1.0, 0.0], [-3.0, 1.0]])
    weights = UPGrad().weigh((jacobian @ jacobian.T).tolist(), np.ones(3)).numpy()
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)
    np.testing.assert_allclose(weights @ jacobian, upgrad(jacobian), atol=1e-6)


def test_a_gradient_of_zero_leaves_the_projections_of_the_others():
    jacobian = random_jacobians(1, 3, seed=0)[0] * [[1], [0], [1]]
    both = jacobian[[0, 2]]
    weights = UPGrad().weigh(jacobian @ jacobian.T, np.ones(3)).numpy()
    np.testing.assert_allclose(weights @ jacobian, upgrad(both) * 2 / 3, rtol=1e-9)
    np.testing.assert_allclose(weights[1], 1 / 3)
    weights = DualProj().weigh(jacobian @ jacobian.T, np.ones(3)).numpy()
    np.testing.assert_allclose(weights @ jacobian, dual_proj(both) * 2 / 3, rtol=1e-9)
    np.testing.assert_allclose(weights[1], 1 / 3)


def least_weights(num_tasks):
    return np.arange(num_tasks) / num_tasks**2


@pytest.mark.parametrize("num_tasks", [2, 4, *slow((3,), (5,), (6,), (7,), (8,))])
def test_pareto_efficient_weights_minimize_the_length_above_their_bounds(num_tasks):
    jacobians, least = random_jacobians(400, num_tasks, seed=num_tasks), least_weights(num_tasks)
    gramians, left = gramians_of(jacobians), 1 - least.sum()
    # The rest of the weights, v on the simplex: min left^2 v^T G v / 2 + left c^T G v.
    rest = minimum_by_faces(gramians, gramians @ least / left)
    weights = weigh_all(PEMTL(c=least.tolist()), jacobians)
    assert (weights >= (1 - 1e-7) * least).all()  # bounds are float32
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    expected = combine(least + left * rest, jacobians)
    assert relative_errors(weights, jacobians, expected).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [3, 8])
def test_nearly_dependent_gradients_are_as_short_above_their_bounds(num_tasks):
    jacobians = random_jacobians(200, num_tasks, seed=1, condition=1e6)
    least = least_weights(num_tasks)
    gramians, left = gramians_of(jacobians), 1 - least.sum()
    rest = minimum_by_faces(gramians, gramians @ least / left)
    shortest = np.linalg.norm(combine(least + left * rest, jacobians), axis=1)
    lengths = np.linalg.norm(
        combine(weigh_all(PEMTL(c=least.tolist()), jacobians), jacobians), axis=1
    )
    assert (lengths - shortest < 1e-3 * shortest + 1e-9 * lengths_of(jacobians).max(axis=1)).all()


def test_bounds_that_leave_nothing_are_the_weights():
    jacobian = random_jacobians(1, 3, seed=2)[0]
    weights = PEMTL(c=[0.2, 0.5, 0.3]).weigh(jacobian @ jacobian.T, np.ones(3))
    np.testing.assert_allclose(weights, [0.2, 0.5, 0.3], atol=1e-6)


def test_bounds_go_by_the_name_of_a_task():
    balancer = PEMTL(c={"buy": 0.5, "click": 0.0})
    balancer.bind(["click", "buy"])
    weights = balancer.weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=1e-6)


def test_bounds_of_more_than_all_weight_are_refused():
    with pytest.raises(ValueError, match="sum to at most 1"):
        PEMTL(c=0.4).build(3)
    with pytest.raises(ValueError, match="c of task 1 must be a finite number from 0 to 1"):
        PEMTL(c=[0.4, 1.2])
