"""Directions in the dual cone, beside nonnegative least squares and closed forms."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import nnls

from keras_mtl.balancers._solvers import equal_projections, fair_point, project_onto_dual_cone


def unit_vectors(num_vectors, size, seed):
    vectors = np.random.default_rng(seed).normal(size=(num_vectors, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosines_of(units):
    return tf.constant(units @ units.T)


@pytest.mark.parametrize(("num_vectors", "size"), [(2, 3), (3, 3), (5, 8), (6, 3), (1, 2)])
def test_projections_are_the_nearest_vectors_that_conflict_with_none(num_vectors, size):
    units = unit_vectors(num_vectors, size, seed=num_vectors)
    targets = np.concatenate(
        [np.eye(num_vectors), np.random.default_rng(0).uniform(size=(3, num_vectors))]
    )
    v = project_onto_dual_cone(cosines_of(units), tf.constant(targets), 1e-15).numpy()
    assert (v >= targets - 1e-12).all()
    for target, projection in zip(targets @ units, v @ units, strict=True):
        expected = target + units.T @ nnls(units.T, -target)[0]
        np.testing.assert_allclose(projection, expected, atol=1e-7)


def test_a_vector_that_conflicts_with_none_is_its_own_projection():
    cosines = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.0], [0.2, 0.0, 1.0]])
    v = project_onto_dual_cone(tf.constant(cosines), tf.eye(3, dtype="float64"), 1e-15)
    np.testing.assert_array_equal(v, np.eye(3))


def test_opposed_vectors_are_projected_to_nothing():
    units = np.array([[1.0, 0.0], [-1.0, 0.0]])
    v = project_onto_dual_cone(cosines_of(units), tf.eye(2, dtype="float64"), 1e-15)
    np.testing.assert_array_equal(v @ units, np.zeros((2, 2)))


@pytest.mark.parametrize("num_vectors", [1, 2, 5])
def test_all_unit_vectors_lie_equally_far_along_the_direction(num_vectors):
    units = unit_vectors(num_vectors, 6, seed=0)
    v = equal_projections(cosines_of(units), 1e-15).numpy()
    np.testing.assert_allclose(units @ (v @ units), 1, rtol=1e-9)


def test_a_ridge_as_large_as_rounding_moves_no_projection():
    units = unit_vectors(4, 6, seed=1)
    exact = equal_projections(cosines_of(units), 1e-15)
    np.testing.assert_allclose(equal_projections(cosines_of(units), 1e-5), exact, rtol=1e-6)


def test_coplanar_vectors_share_the_shortest_direction():
    units = unit_vectors(2, 5, seed=2)
    third = units[0] + units[1]
    units = np.array([*units, third / np.linalg.norm(third)])
    # No direction lies equally far along all three, so v cancels out.
    v = equal_projections(cosines_of(units), 1e-9).numpy()
    assert np.linalg.norm(v @ units) < 1e-3 * np.linalg.norm(v)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("num_vectors", [1, 2, 6])
def test_the_fair_point_solves_its_equation(alpha, num_vectors):
    units = unit_vectors(num_vectors, 8, seed=3)
    logs = np.linspace(-2, 2, num_vectors) * alpha / (1 + alpha) * (num_vectors > 1)
    x = fair_point(cosines_of(units), tf.constant(logs), alpha, 1e-15).numpy()
    assert (x > 0).all()
    decrease = units @ (x @ units)
    np.testing.assert_allclose(np.log(x) + alpha * np.log(decrease), logs, atol=1e-6)


def test_the_fair_point_of_two_has_a_closed_form():
    for cosine in (-0.999, -0.5, 0.0, 0.9):
        cosines = tf.constant([[1.0, cosine], [cosine, 1.0]], "float64")
        x = fair_point(cosines, tf.zeros(2, "float64"), 1.0, 1e-15)
        np.testing.assert_allclose(x, 1 / np.sqrt(1 + cosine), rtol=1e-8)


def test_the_fair_point_of_opposed_vectors_is_bounded_by_the_ridge():
    cosines = tf.constant([[1.0, -1.0], [-1.0, 1.0]], "float64")
    x = fair_point(cosines, tf.zeros(2, "float64"), 1.0, 1e-6)
    np.testing.assert_allclose(x, 1e3, rtol=1e-3)  # x * ridge * x = 1
