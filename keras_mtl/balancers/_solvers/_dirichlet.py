"""Random draws of weights that compile under XLA."""

import math

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._safe_math import softmax

_CANDIDATES = 16  # each is accepted with a probability above 0.95


def dirichlet(concentration: Tensor, seed: keras.random.SeedGenerator) -> Tensor:
    """Draws weights `[K]` from a Dirichlet distribution.

    `keras.random.gamma` does not compile under XLA, so the gamma variates are made here: those
    of `concentration + 1` from a fixed number of candidates, taken down to `concentration` by a
    power of a uniform draw; in logarithms, for small concentrations give tiny numbers.

    Args:
        concentration: `[K]`, above 0.
        seed: Used once.

    Returns:
        Weights `[K]` with sum 1.

    Reference: Marsaglia & Tsang, ACM Transactions on Mathematical Software 26 (2000).
    """
    count = ops.shape(concentration)[0]
    # One block of draws: a second call with the seed of the step would repeat the first.
    draws = keras.random.uniform((2 * _CANDIDATES + 1, count), minval=1e-7, seed=seed)
    normal = math.sqrt(2) * ops.erfinv(2 * draws[:_CANDIDATES] - 1)
    uniform = draws[_CANDIDATES:-1]
    d = concentration + 2 / 3
    root = 1 + normal / ops.sqrt(9 * d)
    log_v = 3 * ops.log(ops.maximum(root, 1e-6))
    bound = 0.5 * normal * normal + d * (1 - ops.exp(log_v) + log_v)
    accepted = ops.logical_and(root > 0, ops.log(uniform) < bound)
    first = ops.one_hot(ops.argmax(ops.cast(accepted, "int32"), axis=0), _CANDIDATES, axis=0)
    log_gamma = ops.log(d) + ops.sum(first * log_v, axis=0)
    return softmax(log_gamma + ops.log(draws[-1]) / concentration)
