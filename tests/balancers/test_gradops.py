"""GradOPS: projections against least squares on the gradients themselves."""

import numpy as np
import pytest
from reference_case import combine, random_jacobians, relative_errors, weigh_all

from keras_mtl.balancers import GradOPS, PCGrad

THREE = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 2.0], [-2.0, 1.0, 1.0]])


def weights_of(jacobian, precision="float64"):
    return GradOPS().weigh((jacobian @ jacobian.T).astype(precision), np.ones(len(jacobian)))


def projected_sum(jacobian):
    """Sums the gradients, each conflicting one without its least-squares fit by the others."""
    total = np.zeros(jacobian.shape[1])
    for i, gradient in enumerate(jacobian):
        rest = np.delete(jacobian, i, axis=0)
        if (rest @ gradient).min() < 0:
            gradient = gradient - rest.T @ np.linalg.lstsq(rest.T, gradient, rcond=None)[0]
        total += gradient
    return total


@pytest.mark.parametrize("num_tasks", [2, 3, 6])
def test_conflicting_gradients_lose_what_the_other_gradients_span(num_tasks):
    jacobians = random_jacobians(50, num_tasks, seed=num_tasks)
    expected = np.stack([projected_sum(jacobian) for jacobian in jacobians])
    errors = relative_errors(weigh_all(GradOPS(), jacobians), jacobians, expected)
    assert errors.max() < 1e-6
    changed = abs(expected - jacobians.sum(axis=1)).max(axis=1) > 1e-9
    assert changed.mean() > 0.3


def test_the_golden_direction_of_three_gradients_comes_out():
    weights = weights_of(THREE, "float32").numpy()
    np.testing.assert_allclose(weights @ THREE, [0.8462, 2.9615, 1.1154], atol=5e-5)


def test_a_gradient_that_conflicts_with_none_stays_as_it_is():
    # The first and the third gradient conflict; the second one adds itself, unchanged.
    normals = np.cross(THREE[1], THREE[2]), np.cross(THREE[0], THREE[1])
    first, third = (
        normal * (gradient @ normal) / (normal @ normal)
        for normal, gradient in zip(normals, THREE[[0, 2]], strict=True)
    )
    np.testing.assert_allclose(
        weights_of(THREE).numpy() @ THREE, first + THREE[1] + third, rtol=1e-6
    )


def test_without_conflicts_all_weights_are_exactly_1():
    jacobian = abs(np.random.default_rng(0).normal(size=(4, 6)))
    np.testing.assert_array_equal(weights_of(jacobian), np.ones(4))


def test_two_tasks_are_projected_as_by_pcgrad():
    jacobians = random_jacobians(50, 2, seed=9)
    weights = weigh_all(GradOPS(), jacobians)
    np.testing.assert_allclose(weights, weigh_all(PCGrad(), jacobians), rtol=1e-6)


def test_no_projected_sum_conflicts_with_a_gradient_where_pcgrad_may():
    jacobians = random_jacobians(200, 5, seed=5, spread=0.0)
    worst = [
        np.einsum("bj,bij->bi", combine(weigh_all(rule, jacobians), jacobians), jacobians).min()
        for rule in (GradOPS(), PCGrad())
    ]
    assert worst[0] > -1e-9
    assert worst[1] < -1e-3


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_gradients_that_the_others_span_add_nothing(precision):
    rng = np.random.default_rng(3)
    jacobian = rng.normal(size=(6, 2)) @ rng.normal(size=(2, 9))
    assert (jacobian @ jacobian.T).min(axis=1).max() < 0  # all of them conflict
    direction = weights_of(jacobian, precision).numpy() @ jacobian
    np.testing.assert_allclose(direction, np.zeros(9), atol=1e-4)


def test_a_gradient_outside_of_a_dependent_rest_keeps_its_part():
    jacobian = np.array([[-1.0, 0, 2], [1, 0, 0], [1, 0, 0], [0, 3, 0]])
    # The equal gradients are spanned by each other; the first one loses its first entry.
    np.testing.assert_allclose(weights_of(jacobian).numpy() @ jacobian, [0, 3, 2], atol=1e-5)
