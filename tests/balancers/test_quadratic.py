"""Quadratic programs over the nonnegative numbers, beside nonnegative least squares."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import nnls

from keras_mtl.balancers._solvers import _quadratic
from keras_mtl.balancers._solvers._interior_point import step_to_boundary
from keras_mtl.balancers._solvers._quadratic import _interior_minimum, nonnegative_minimum


def problem(seed, size=6, rank=8):
    """Returns A and rows c: with M = A A^T and b = A c, u >= 0 minimizes |A^T u + c|."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(size, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shifts = rng.normal(size=(5, rank))
    return vectors, shifts


def residual_lengths(vectors, shifts, u):
    return np.linalg.norm(np.asarray(u) @ vectors + shifts, axis=1)


def shortest_residuals(vectors, shifts):
    return [nnls(vectors.T, -shift)[1] for shift in shifts]


def solve(vectors, shifts, ridge=1e-15):
    return nonnegative_minimum(tf.constant(vectors @ vectors.T), shifts @ vectors.T, ridge)


@pytest.mark.parametrize("rank", [3, 8])
@pytest.mark.parametrize("seed", range(5))
def test_the_minimum_is_that_of_nonnegative_least_squares(seed, rank):
    vectors, shifts = problem(seed, rank=rank)
    u = solve(vectors, shifts).numpy()
    assert (u >= 0).all()
    np.testing.assert_allclose(
        residual_lengths(vectors, shifts, u), shortest_residuals(vectors, shifts), atol=1e-7
    )


@pytest.mark.parametrize("rank", [3, 8])
def test_the_interior_point_method_finds_the_same_minimum(rank):
    vectors, shifts = problem(0, rank=rank)
    matrix = vectors @ vectors.T + 1e-13 * np.eye(6)
    u = _interior_minimum(tf.constant(matrix), tf.constant(shifts @ vectors.T)).numpy()
    np.testing.assert_allclose(
        residual_lengths(vectors, shifts, u), shortest_residuals(vectors, shifts), atol=1e-6
    )


def test_the_interior_point_method_takes_over_where_exchanges_find_no_end(monkeypatch):
    vectors, shifts = problem(1)
    expected = solve(vectors, shifts)
    monkeypatch.setattr(_quadratic, "_MAX_EXCHANGES", 0)
    np.testing.assert_allclose(solve(vectors, shifts), expected, atol=1e-6)


def test_a_scale_of_b_scales_the_minimum():
    vectors, shifts = problem(2)
    scales = 10.0 ** np.array([[-12], [-3], [0], [3], [12]])
    expected = solve(vectors, shifts).numpy() * scales
    np.testing.assert_allclose(solve(vectors, shifts * scales), expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(solve(vectors, shifts * 0), 0)


def test_variables_with_equal_rows_get_equal_values():
    vectors = np.array([[1.0, 0], [1, 0], [0, 1]])
    u = solve(vectors, np.array([[-1.0, -1.0]]), ridge=1e-7).numpy()
    np.testing.assert_allclose(u, [[0.5, 0.5, 1]], rtol=1e-6)


def test_a_ridge_as_large_as_rounding_is_corrected_for():
    vectors, shifts = problem(3)
    u = solve(vectors, shifts, ridge=1e-4)
    np.testing.assert_allclose(u, solve(vectors, shifts), atol=1e-6)


def test_a_step_goes_a_part_of_the_way_to_the_first_sign_change():
    values = tf.constant([[1.0, 2.0], [1.0, 2.0]])
    changes = tf.constant([[-4.0, -4.0], [1.0, -0.5]])
    np.testing.assert_allclose(step_to_boundary(0.8, (values, changes)), [[0.2], [1.0]])
    np.testing.assert_allclose(
        step_to_boundary(0.8, (values, -changes), (values, changes)), [[0.2], [0.8]]
    )
