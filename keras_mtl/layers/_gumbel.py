"""Differentiable draws from a categorical distribution."""

import keras
from keras import ops

from keras_mtl._types import Tensor


def gumbel_softmax(
    logits: Tensor, temperature: Tensor, seed: int | keras.random.SeedGenerator
) -> Tensor:
    """Draws `softmax((logits + g) / temperature)` over the last axis, with Gumbel noise `g`.

    With `u` uniform in (0, 1), `g = -log(-log(u))` follows the standard Gumbel distribution.

    Args:
        logits: Logarithms of the probabilities, up to an additive constant.
        temperature: The smaller it is, the closer a draw is to one-hot.
        seed: An integer, or a `keras.random.SeedGenerator` for new draws at each call.
    """
    # The lower bound keeps the inner logarithm finite.
    uniform = keras.random.uniform(ops.shape(logits), minval=1e-7, dtype="float32", seed=seed)
    return ops.softmax((logits - ops.log(-ops.log(uniform))) / temperature)
