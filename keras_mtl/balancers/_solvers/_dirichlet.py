"""Random draws of weights that compile under XLA."""

import math

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._solvers._safe_math import softmax

_NUM_CANDIDATES = 16  # each is accepted with a probability above 0.95


def dirichlet(concentration: Tensor, seed: keras.random.SeedGenerator) -> Tensor:
    """Draws weights from a Dirichlet distribution.

    They are gamma variates, divided by their sum. `keras.random.gamma` does not compile under
    XLA, so gamma variates are drawn here. With `a` the concentration, those of a + 1 are

        d v      for d = a + 2/3,  v = (1 + x / sqrt(9 d))^3,  x normal,

    where a candidate is accepted if `log(uniform) < x^2 / 2 + d (1 - v + log v)`, and the first
    accepted one of a fixed number of candidates is taken. Such a variate times
    `uniform^(1 / a)` is one of a. All of this is done in logarithms, since small concentrations
    give tiny numbers.

    Args:
        concentration: `[K]`, above 0.
        seed: The seed of the draws, used once.

    Returns:
        Weights `[K]` with sum 1.

    Reference: Marsaglia & Tsang, ACM Transactions on Mathematical Software 26 (2000).
    """
    num_tasks = ops.shape(concentration)[0]
    # One block of draws: a second call with the seed of the step would repeat the first.
    draws = keras.random.uniform(
        (2 * _NUM_CANDIDATES + 1, num_tasks), minval=1e-7, dtype="float32", seed=seed
    )
    normal = math.sqrt(2) * ops.erfinv(2 * draws[:_NUM_CANDIDATES] - 1)  # [candidates, K]
    uniform = draws[_NUM_CANDIDATES:-1]
    d = concentration + 2 / 3
    root = 1 + normal / ops.sqrt(9 * d)
    log_v = 3 * ops.log(ops.maximum(root, 1e-6))
    bound = 0.5 * normal * normal + d * (1 - ops.exp(log_v) + log_v)
    accepted = ops.logical_and(root > 0, ops.log(uniform) < bound)
    # One-hot over the candidates; argmax finds the first accepted one.
    first = ops.argmax(ops.cast(accepted, "int32"), axis=0)
    first = ops.one_hot(first, _NUM_CANDIDATES, axis=0, dtype="float32")
    log_gamma = ops.log(d) + ops.sum(first * log_v, axis=0)
    return softmax(log_gamma + ops.log(draws[-1]) / concentration)


__all__ = ["dirichlet"]
