"""The distance between the two likeliest classes."""

from typing import Any

import numpy as np

from keras_mtl.active._asking._distributions import FloatArray, read_distributions


def margin(probabilities: Any) -> FloatArray:
    """Computes how near the two likeliest classes are: 1 - (p_1 - p_2), with p_1 the largest.

    It is 1 where the two are equal and 0 where the prediction is sure, so that here, as for all
    rules, a high number asks for a label. The paper's margin is p_1 - p_2. For two classes all
    rules of one prediction (this one, `entropy`, `least_confidence`) order rows alike.

    Choose it first: it asks for rows that decide between two classes, and it was the best or among
    the best of all rules that were measured here (`benchmarks/regimes_active.py`).

    Args:
        probabilities: `[..., classes]`, which sum to 1 along the last axis.

    Returns:
        Numbers from 0 to 1, `[...]`.

    Raises:
        ValueError: If they are no probabilities.

    Example:
        >>> round(float(margin([0.5, 0.3, 0.2])), 4)
        0.8

    Reference:
        Scheffer et al. 2001, Active hidden Markov models for information extraction.
    """
    array = read_distributions(probabilities, "margin: the array")
    largest = np.partition(array, -2, axis=-1)
    result: FloatArray = 1.0 - (largest[..., -1] - largest[..., -2])
    return result
