"""How far several draws of a prediction disagree."""

from typing import Any

import numpy as np

from keras_mtl.active._asking._distributions import FloatArray, entropy_of, read_distributions


def bald(draws: Any) -> FloatArray:
    """Computes how far draws of a prediction disagree: what a label would tell of the network.

        I = H(mean_s p_s) - mean_s H(p_s)

    The first entropy is all doubt, the second the doubt that stays whichever network is right: two
    draws that both say (.5, .5) agree, and score 0. The draws are networks of an ensemble, or one
    network with dropout (`active.score(rule="bald")`).

    Choose it where labels are noisy, since it does not ask again for rows that are doubtful in
    themselves. With few draws it is noisy itself: take 10 or more.

    Args:
        draws: `[draws, ..., classes]`, which sum to 1 along the last axis; two or more draws.

    Returns:
        Nats, `[...]`, 0 or more.

    Raises:
        ValueError: If they are no probabilities, or fewer than two draws.

    Example:
        >>> round(float(bald([[0.9, 0.1], [0.1, 0.9]])), 4), float(bald([[0.5, 0.5], [0.5, 0.5]]))
        (0.3681, 0.0)

    Reference:
        Houlsby et al. 2011, arXiv:1112.5745; with dropout: Gal et al. 2017, arXiv:1703.02910.
    """
    array = read_distributions(draws, "bald: the array")
    if array.ndim < 2 or len(array) < 2:
        raise ValueError(
            f"bald needs two or more draws along the first axis; received the shape {array.shape}."
        )
    information: FloatArray = entropy_of(array.mean(axis=0)) - entropy_of(array).mean(axis=0)
    return np.maximum(information, 0.0)  # rounding may leave -1e-17
