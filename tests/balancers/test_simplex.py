"""Projections onto the simplex, points of least norm, and the cosines that they are found by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from keras_mtl.balancers._solvers import cosines_and_lengths, min_norm_point, simplex_projection


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_the_projection_is_the_nearest_point_of_the_simplex(point):
    point = np.array(point)
    projected = np.asarray(simplex_projection(point))
    assert projected.min() >= 0 and abs(projected.sum() - 1) < 1e-5
    # No corner lies on the far side: (point - projected) . (corner - projected) <= 0.
    normal = point - projected
    assert (normal - normal @ projected).max() < 1e-4


def test_a_point_of_the_simplex_projects_to_itself():
    point = np.array([0.2, 0.0, 0.5, 0.3], "float32")
    np.testing.assert_allclose(simplex_projection(point), point, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_the_min_norm_point_agrees_with_a_general_solver(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(6, 7)) + rng.normal(size=7)
    gramian = vectors @ vectors.T
    solution = minimize(
        lambda w: w @ gramian @ w,
        np.ones(6) / 6,
        jac=lambda w: 2 * gramian @ w,
        bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(6)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(min_norm_point(gramian), solution.x, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_min_norm_point_of_two_ignores_their_common_scale(scale):
    gramian = np.array([[18.0, -22.0], [-22.0, 38.0]]) * scale**2
    np.testing.assert_allclose(min_norm_point(gramian), [0.6, 0.4], rtol=1e-6)


def test_equal_vectors_share_their_weight():
    vectors = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    weights = min_norm_point(vectors @ vectors.T)
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 3, 1 / 3], rtol=1e-4)


def test_a_vector_of_length_zero_is_the_shortest():
    gramian = np.diag([0.0, 1.0, 0.0, 2.0])
    np.testing.assert_allclose(min_norm_point(gramian), [0.5, 0, 0.5, 0])


def test_cosines_read_what_is_not_finite_as_zero():
    cosines, lengths = cosines_and_lengths(np.array([[4.0, np.nan], [np.nan, 0.0]]))
    np.testing.assert_array_equal(cosines, np.eye(2))
    np.testing.assert_array_equal(lengths, [2, 0])
