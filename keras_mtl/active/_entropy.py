"""The entropy of predicted distributions."""

from typing import Any

from keras_mtl.active._asking._distributions import FloatArray, entropy_of, read_distributions


def entropy(probabilities: Any) -> FloatArray:
    """Computes the entropy of each predicted distribution: high where many classes are likely.

        H(p) = -sum_c p_c log p_c

    Choose it where confusion among many classes counts. For buying labels `margin` is the better
    first choice: on ten digits, entropy was worse than random rows until 100 labels, since it asks
    for rows that are unlike any class (`benchmarks/regimes_active.py`).

    Args:
        probabilities: `[..., classes]`, which sum to 1 along the last axis.

    Returns:
        Nats, `[...]`: from 0 to the logarithm of the number of classes.

    Raises:
        ValueError: If they are no probabilities.

    Example:
        >>> round(float(entropy([0.5, 0.3, 0.2])), 4)
        1.0297
    """
    return entropy_of(read_distributions(probabilities, "entropy: the array"))
