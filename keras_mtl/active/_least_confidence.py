"""The probability that the likeliest class is wrong."""

from typing import Any

from keras_mtl.active._asking._distributions import FloatArray, read_distributions


def least_confidence(probabilities: Any) -> FloatArray:
    """Computes the probability that the likeliest class is wrong: 1 - max_c p_c.

    Choose it where a wrong prediction costs the same whatever the right class is; otherwise
    `margin`, which looks at the second class too.

    Args:
        probabilities: `[..., classes]`, which sum to 1 along the last axis.

    Returns:
        Numbers from 0 to 1 - 1 / classes, `[...]`.

    Raises:
        ValueError: If they are no probabilities.

    Example:
        >>> float(least_confidence([0.5, 0.3, 0.2]))
        0.5
    """
    array = read_distributions(probabilities, "least_confidence: the array")
    result: FloatArray = 1.0 - array.max(axis=-1)
    return result
