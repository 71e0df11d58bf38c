"""Solvers for many tasks: the same results as those for few, which other tests hold."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_mtl import balancers
from keras_mtl.balancers._solvers import (
    _ball,
    _free_system,
    _quadratic,
    _quadratic_exchange,
    _symmetric,
)

K = 130


def gramian(kind):
    """Returns many gradients, and their Gramian."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(K, {"dependent": 40, "of many dimensions": 4000}.get(kind, 400)))
    if kind == "in conflict":
        rows[: K // 2] += 0.5
        rows[K // 2 :] -= 0.45
    if kind == "of all sizes":
        rows *= 10.0 ** rng.uniform(-4, 4, size=(K, 1))
        rows[3] = 0
        rows[7] = rows[8]
    rows = rows.astype("float32")
    return rows, rows @ rows.T


KINDS = ["independent", "in conflict", "dependent", "of all sizes", "of many dimensions"]


def directions(make, rows, matrix, monkeypatch):
    """Returns the direction by the solvers for few tasks, and by those for many."""
    results = []
    for least in (10**6, 2):
        monkeypatch.setattr(_symmetric, "MANY_TASKS", least)
        rule = make()
        rule.build(len(matrix))
        # Its rows are solved one after the other, which takes minutes without a graph.
        weigh = tf.function(rule.weigh) if make is balancers.UPGrad else rule.weigh
        weights = weigh(ops.array(matrix), ops.ones(len(matrix)))
        results.append(np.asarray(weights, "float64") @ rows.astype("float64"))
    return results


def cagrad():
    return balancers.CAGrad(c=0.5)


RULES = [
    balancers.MGDA,
    cagrad,
    balancers.DualProj,
    balancers.NashMTL,
    balancers.FairGrad,
    balancers.IMTLG,
    balancers.ConFIG,
    balancers.UPGrad,
]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make, kind)
        if (make, kind)
        in (
            (cagrad, "in conflict"),
            (balancers.MGDA, "independent"),
            (balancers.NashMTL, "in conflict"),
            (balancers.IMTLG, "in conflict"),
            (balancers.ConFIG, "of many dimensions"),
        )
        else pytest.param(make, kind, marks=pytest.mark.slow)
        for make in RULES
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
    monkeypatch.setattr(_ball, "_interior_point", refuse)
    _, matrix = gramian("independent")
    assert np.isfinite(cagrad().weigh(ops.array(matrix), ops.ones(K))).all()


def refuse(*arguments):
    raise AssertionError("the slow way was taken")


def quadratic(kind):
    """Returns M and b of a minimum over nonnegative numbers that leaves about half of them at 0."""
    matrix = gramian(kind)[1].astype("float64")
    lengths = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    return matrix / lengths / lengths[:, None], np.random.default_rng(2).normal(size=(1, K))


@pytest.mark.parametrize("kind", ["independent", "in conflict"])
def test_descent_ends_where_exchanges_end(kind, monkeypatch):
    matrix, linear = quadratic(kind)
    expected = _quadratic.nonnegative_minimum(ops.array(matrix), ops.array(linear), 1e-10)
    monkeypatch.setattr(_quadratic, "_interior_minimum", refuse)
    monkeypatch.setattr(_quadratic_exchange, "_PATIENCE", 0)  # no exchange at all
    u = _quadratic.nonnegative_minimum(ops.array(matrix), ops.array(linear), 1e-10)
    assert 10 < np.count_nonzero(expected) < K - 10
    np.testing.assert_allclose(u, expected, atol=1e-8)
    slope = u @ matrix + linear
    assert np.min(slope) > -1e-8 and np.max(np.abs(u * slope)) < 1e-8


def test_several_rows_are_minimized_one_after_the_other(monkeypatch):
    matrix, linear = quadratic("independent")
    rows = np.concatenate([linear, 3 * linear[:, ::-1], 0 * linear])
    alone = [_quadratic.nonnegative_minimum(ops.array(matrix), row[None], 1e-10) for row in rows]
    monkeypatch.setattr(_quadratic, "_minimum_of_few", refuse)
    u = _quadratic.nonnegative_minimum(ops.array(matrix), ops.array(rows), 1e-10)
    np.testing.assert_allclose(u, np.concatenate(alone), atol=1e-10)
    assert not np.any(u[2]) and np.count_nonzero(u[0]) > 10 < np.count_nonzero(u[1])


@pytest.mark.parametrize("num_free", [0, 30, 60, 90, K])
def test_systems_of_free_variables_are_solved_with_as_many_rows(num_free, monkeypatch):
    matrix, linear = quadratic("independent")
    matrix += np.eye(K)  # of a condition of 3
    right = np.concatenate([linear, linear**2])
    free = np.random.default_rng(3).permutation(K) < num_free
    rows = []
    factored = _free_system._factored

    def count_rows(part, *arguments):
        rows.append(len(part))
        return factored(part, *arguments)

    monkeypatch.setattr(_free_system, "_factored", count_rows)
    arrays = (ops.array(matrix), ops.array(right), ops.array(free))
    x = np.asarray(_free_system.solve_free(*arrays, 1e-6))
    expected = np.zeros((2, K))
    expected[:, free] = np.linalg.solve(matrix[np.ix_(free, free)], right[:, free].T).T
    np.testing.assert_allclose(x, expected, atol=1e-9)
    # A quarter, a half, three quarters; all of them are found by products alone.
    assert rows == {0: [32], 30: [32], 60: [65], 90: [97], K: []}[num_free]


def test_systems_that_products_do_not_solve_are_factored():
    matrix, linear = quadratic("in conflict")
    # Lengths of the eigenvalues from 1e-4 to 1 evenly: conjugate gradients make no way.
    vectors = np.linalg.eigh(matrix)[1]
    matrix = vectors * np.logspace(-4, 0, K) @ vectors.T
    free = ops.ones((K,), "bool")
    x = _free_system.solve_free(ops.array(matrix), ops.array(linear), free, 1e-9)
    np.testing.assert_allclose(np.asarray(x) @ matrix, linear, atol=1e-8)
    solved = _free_system.conjugate_gradients(ops.array(matrix), ops.array(linear), free)[1]
    assert not solved


@pytest.mark.parametrize("patience", [0, 3])
def test_a_minimum_without_a_factor_is_finite(patience, monkeypatch):
    matrix, linear = quadratic("independent")
    matrix -= 0.2 * np.eye(K)  # rounding never does that: some eigenvalues are below 0
    monkeypatch.setattr(_quadratic_exchange, "_PATIENCE", patience)
    monkeypatch.setattr(_quadratic_exchange, "_MAX_DESCENTS", 3)
    u = _quadratic.nonnegative_minimum(ops.array(matrix), ops.array(linear), 1e-10)
    assert np.isfinite(u).all() and np.min(u) >= 0


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


@pytest.mark.slow
def test_a_minimum_of_an_unknown_number_of_variables_is_found_in_one_graph(monkeypatch):
    calls = []

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float64)])
    def minimize(matrix):
        calls.append(matrix.shape)
        return _quadratic.nonnegative_minimum(matrix, -(matrix[:1] ** 2), 1e-10)

    monkeypatch.setattr(_symmetric, "MANY_TASKS", 5)
    for size in (3, 5, 20):
        matrix = gramian("independent")[1][:size, :size].astype("float64")
        matrix /= matrix.max()
        u = minimize(matrix).numpy()
        slope = u @ matrix - matrix[:1] ** 2
        assert u.min() >= 0 and slope.min() > -1e-8 and np.abs(u * slope).max() < 1e-8
    assert len(calls) == 1
