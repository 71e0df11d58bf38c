"""Solvers for many tasks: the same results as those for few, which other tests hold."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_mtl import balancers
from keras_mtl.balancers._solvers import _ball, _symmetric

K = 130


def gramian(kind):
    """Returns many gradients, and their Gramian."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(K, {"dependent": 40}.get(kind, 400)))
    if kind == "in conflict":
        rows[: K // 2] += 0.5
        rows[K // 2 :] -= 0.45
    if kind == "of all sizes":
        rows *= 10.0 ** rng.uniform(-4, 4, size=(K, 1))
        rows[3] = 0
        rows[7] = rows[8]
    rows = rows.astype("float32")
    return rows, rows @ rows.T


KINDS = ["independent", "in conflict", "dependent", "of all sizes"]


def directions(make, rows, matrix, monkeypatch):
    """Returns the direction by the solvers for few tasks, and by those for many."""
    results = []
    for least in (10**6, 2):
        monkeypatch.setattr(_symmetric, "MANY_TASKS", least)
        weights = make().weigh(ops.array(matrix), ops.ones(len(matrix)))
        results.append(np.asarray(weights, "float64") @ rows.astype("float64"))
    return results


def cagrad():
    return balancers.CAGrad(c=0.5)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make, kind)
        if (make, kind) in ((cagrad, "in conflict"), (balancers.MGDA, "independent"))
        else pytest.param(make, kind, marks=pytest.mark.slow)
        for make in (balancers.MGDA, cagrad, balancers.DualProj)
        for kind in KINDS
    ],
)
def test_directions_for_many_tasks_are_those_for_few(make, kind, monkeypatch):
    rows, matrix = gramian(kind)
    few, many = directions(make, rows, matrix, monkeypatch)
    longest = np.linalg.norm(rows, axis=1).max()
    # The shortest vector of dependent gradients is none: 0 but for rounding.
    assert np.linalg.norm(many - few) <= 1e-5 * max(np.linalg.norm(few), 1e-2 * longest)


def test_cagrad_of_many_tasks_needs_no_interior_point(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("sets of tasks were exchanged without success")

    monkeypatch.setattr(_ball, "_interior_point", refuse)
    _, matrix = gramian("independent")
    assert np.isfinite(cagrad().weigh(ops.array(matrix), ops.ones(K))).all()


def test_a_matrix_without_a_factor_is_inverted():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2, K, K))
    matrix[1] = np.eye(K) * 2
    matrix[0] += matrix[0].T  # symmetric, and not definite: no Cholesky factor
    right = rng.normal(size=(2, 3, K))
    for matrices, rows in ((matrix, right), (matrix[1:], right[1:])):
        solution = _symmetric.symmetric_solver(ops.array(matrices))(ops.array(rows))
        np.testing.assert_allclose(np.asarray(solution) @ matrices, rows, atol=1e-8)


def test_an_unknown_number_of_tasks_is_solved_in_one_graph(monkeypatch):
    # The solvers themselves: a rule learns from its model how many tasks it may see.
    calls = []

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float64)] * 2)
    def solve(matrix, rows):
        calls.append(matrix.shape)
        return _symmetric.symmetric_solver(matrix[None])(rows[None])[0]

    monkeypatch.setattr(_symmetric, "MANY_TASKS", 5)
    for size in (3, 5, 20):
        matrix = gramian("independent")[1][:size, :size].astype("float64")
        rows = np.arange(2.0 * size).reshape(2, size)
        np.testing.assert_allclose(solve(matrix, rows) @ matrix, rows, atol=1e-8)
    assert len(calls) == 1
