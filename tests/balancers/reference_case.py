"""Random Jacobians, and the helpers of all references of Gramian balancers, in float64 NumPy."""

import itertools
from typing import Any, TypeAlias

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from keras_mtl._types import Tensor
from keras_mtl.balancers import GramianBalancer

Array: TypeAlias = NDArray[np.float64]


def random_jacobians(
    count: int,
    num_tasks: int,
    seed: int,
    condition: float = 100.0,
    spread: float = 4.0,
    size: int | None = None,
) -> Array:
    """Draws Jacobians of condition 1 to `condition`, half of them with rows of unequal length."""
    rng, size = np.random.default_rng(seed), num_tasks + 3 if size is None else size
    # The singular value decomposition, with chosen singular values.
    left = np.linalg.qr(rng.normal(size=(count, num_tasks, num_tasks)))[0]
    right = np.linalg.qr(rng.normal(size=(count, size, num_tasks)))[0]
    conditions = condition ** rng.uniform(size=(count, 1))
    values = conditions ** -np.linspace(0, 1, num_tasks)
    jacobians: Array = np.einsum("bij,bj,bnj->bin", left, values, right)
    spreads = np.where(np.arange(count) % 2, spread, 0)[:, None, None]
    jacobians *= 10 ** (spreads * rng.uniform(-0.5, 0.5, size=(count, num_tasks, 1)))
    return jacobians


def weigh_all(
    balancer: GramianBalancer,
    jacobians: Array,
    precision: str = "float64",
    jit_compile: bool = False,
) -> Array:
    """Computes the weights for each Jacobian, in float64, in one graph that loops over them."""
    gramians = tf.constant(jacobians @ jacobians.transpose(0, 2, 1), precision)
    losses = tf.ones(gramians.shape[1])
    if not balancer.built:
        balancer.build(gramians.shape[1])

    def weigh(gramian: Tensor) -> Tensor:
        with balancer.on_tasks(None):
            return balancer.weigh(gramian, losses)

    graph = tf.function(lambda stack: tf.map_fn(weigh, stack), jit_compile=jit_compile)
    return np.array(graph(gramians), "float64")


def gramians_of(jacobians: Array) -> Array:
    return jacobians @ jacobians.transpose(0, 2, 1)


def lengths_of(jacobians: Array) -> Array:
    lengths: Array = np.linalg.norm(jacobians, axis=2)
    return lengths


def combine(weights: Array, jacobians: Array) -> Array:
    directions: Array = np.einsum("bi,bij->bj", weights, jacobians)
    return directions


def relative_errors(weights: Array, jacobians: Array, expected: Array) -> Array:
    errors: Array = np.linalg.norm(combine(weights, jacobians) - expected, axis=1)
    errors /= np.linalg.norm(expected, axis=1)
    return errors


def minimum_by_faces(gramians: Array, linear: Array | None = None) -> Array:
    """Minimizes `w^T G w / 2 + b^T w` over the simplex: the best stationary point of a face.

    The result is exact. The algorithm is not the package's: it solves 2^K linear systems.
    """
    count, num_tasks = gramians.shape[:2]
    lengths = np.sqrt(np.einsum("bii->bi", gramians))
    scale = lengths.min(axis=1, keepdims=True)
    # For u_i = w_i |g_i| / scale the matrix holds cosines, and the weights sum to ones @ u.
    ones = scale / lengths
    cosines = gramians / lengths[:, :, None] / lengths[:, None]
    linear = np.zeros_like(ones) if linear is None else linear / lengths / scale
    best, weights = np.full(count, np.inf), np.zeros((count, num_tasks))
    for size in range(1, num_tasks + 1):
        for face in map(list, itertools.combinations(range(num_tasks), size)):
            matrix = cosines[:, face][:, :, face]
            right = np.stack([ones[:, face], linear[:, face]], axis=2)
            # The stationary u of the face: matrix @ u = needed * ones - linear.
            level, pull = np.moveaxis(np.linalg.solve(matrix, right), 2, 0)
            total = np.sum(ones[:, face] * level, axis=1)
            needed = (1 + np.sum(ones[:, face] * pull, axis=1)) / total
            solution = needed[:, None] * level - pull
            value = np.einsum("bi,bij,bj->b", solution, matrix, solution) / 2
            value += np.sum(solution * linear[:, face], axis=1)
            better = (solution >= 0).all(axis=1) & (value < best)
            best[better] = value[better]
            weights[better] = 0
            weights[np.ix_(better, face)] = (solution * ones[:, face])[better]
    return weights


def slow(*cases: tuple[Any, ...]) -> list[Any]:
    """Marks cases that take long, and repeat a law that another case shows."""
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]
