"""Random Jacobians and what the references of Gramian balancers share, in float64 NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf


def random_jacobians(count, num_tasks, seed, condition=100.0, spread=4.0, size=None):
    """Jacobians of condition 1 to `condition`, half of them with rows of unlike length."""
    rng, size = np.random.default_rng(seed), num_tasks + 3 if size is None else size
    left = np.linalg.qr(rng.normal(size=(count, num_tasks, num_tasks)))[0]
    right = np.linalg.qr(rng.normal(size=(count, size, num_tasks)))[0]
    conditions = condition ** rng.uniform(size=(count, 1))
    values = conditions ** -np.linspace(0, 1, num_tasks)
    jacobians = np.einsum("bij,bj,bnj->bin", left, values, right)
    spreads = np.where(np.arange(count) % 2, spread, 0)[:, None, None]
    return jacobians * 10 ** (spreads * rng.uniform(-0.5, 0.5, size=(count, num_tasks, 1)))


def weigh_all(balancer, jacobians, precision="float64", jit_compile=False):
    """The weights for each Jacobian, in float64, by one graph that loops over all of them."""
    gramians = tf.constant(jacobians @ jacobians.transpose(0, 2, 1), precision)
    losses = tf.ones(gramians.shape[1])
    if not balancer.built:
        balancer.build(gramians.shape[1])

    def weigh(gramian):
        with balancer.on_tasks(None):
            return balancer.weigh(gramian, losses)

    graph = tf.function(lambda all: tf.map_fn(weigh, all), jit_compile=jit_compile)
    return graph(gramians).numpy().astype("float64")


def gramians_of(jacobians):
    return jacobians @ jacobians.transpose(0, 2, 1)


def lengths_of(jacobians):
    return np.linalg.norm(jacobians, axis=2)


def combine(weights, jacobians):
    return np.einsum("bi,bij->bj", weights, jacobians)


def relative_errors(weights, jacobians, expected):
    errors = np.linalg.norm(combine(weights, jacobians) - expected, axis=1)
    return errors / np.linalg.norm(expected, axis=1)


def minimum_by_faces(gramians, linear=None):
    """Minimizes `w^T G w / 2 + b^T w` over the simplex: the best stationary point of a face.

    Exact, and another algorithm: 2^K linear systems.
    """
    count, num_tasks = gramians.shape[:2]
    lengths = np.sqrt(np.einsum("bii->bi", gramians))
    scale = lengths.min(axis=1, keepdims=True)
    ones = scale / lengths
    cosines = gramians / lengths[:, :, None] / lengths[:, None]
    linear = np.zeros_like(ones) if linear is None else linear / lengths / scale
    best, weights = np.full(count, np.inf), np.zeros((count, num_tasks))
    for size in range(1, num_tasks + 1):
        for face in map(list, itertools.combinations(range(num_tasks), size)):
            matrix = cosines[:, face][:, :, face]
            right = np.stack([ones[:, face], linear[:, face]], axis=2)
            level, pull = np.moveaxis(np.linalg.solve(matrix, right), 2, 0)
            total = np.sum(ones[:, face] * level, axis=1)
            needed = (1 + np.sum(ones[:, face] * pull, axis=1)) / total
            here = needed[:, None] * level - pull
            value = np.einsum("bi,bij,bj->b", here, matrix, here) / 2
            value += np.sum(here * linear[:, face], axis=1)
            better = (here >= 0).all(axis=1) & (value < best)
            best[better] = value[better]
            weights[better] = 0
            weights[np.ix_(better, face)] = (here * ones[:, face])[better]
    return weights


def slow(*cases):
    """Cases that take long, and repeat what another one shows."""
    return [pytest.param(*each, marks=pytest.mark.slow) for each in cases]
