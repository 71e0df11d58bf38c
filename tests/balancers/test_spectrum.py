"""Eigenvalues of Gramians of gradients whose lengths differ much."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.balancers._solvers._spectrum import _next_seats, spectrum


def graded_jacobian(seed, num_tasks=5, spread=6):
    rng = np.random.default_rng(seed)
    jacobian = rng.normal(size=(num_tasks, 9))
    return jacobian * 10 ** (spread * rng.uniform(-0.5, 0.5, size=(num_tasks, 1)))


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("num_tasks", [1, 2, 5, pytest.param(6, marks=pytest.mark.slow)])
def test_small_eigenvalues_have_as_many_digits_as_large_ones(num_tasks, jit_compile):
    find_spectrum = tf.function(spectrum, jit_compile=jit_compile)
    for seed in range(10):
        jacobian = graded_jacobian(seed, num_tasks)
        gramian = jacobian @ jacobian.T
        values, vectors, real = find_spectrum(tf.constant(gramian))
        values = values * gramian.diagonal().max()
        expected = np.linalg.svd(jacobian, compute_uv=False) ** 2
        np.testing.assert_allclose(np.sort(values)[::-1], expected, rtol=1e-8)
        np.testing.assert_allclose(vectors @ tf.transpose(vectors), np.eye(num_tasks), atol=1e-12)
        moved = vectors.numpy() @ jacobian
        cosines = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        np.testing.assert_allclose(cosines @ cosines.T, np.eye(num_tasks), atol=1e-6)
        assert real.numpy().all()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rounding_errors_are_no_eigenvalues(precision):
    jacobian = graded_jacobian(0) * [[1], [0], [1], [1], [1]]
    jacobian[3] = jacobian[2] * 2
    _, _, real = spectrum(tf.constant(jacobian @ jacobian.T, precision))
    assert real.numpy().sum() == 3


@pytest.mark.parametrize("half", [1, 2, 3, 8])
def test_every_pair_meets_once_in_a_sweep(half):
    seats, pairs = np.arange(2 * half), set()
    for _ in range(2 * half - 1):
        pairs |= {frozenset(pair) for pair in zip(seats[:half], seats[half:], strict=True)}
        seats = seats[_next_seats(half)]
    assert len(pairs) == half * (2 * half - 1)
