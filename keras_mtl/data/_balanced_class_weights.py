"""Class weights from counts of labels."""

from collections.abc import Mapping

import numpy as np

from keras_mtl.data._elements._numbers import read_number
from keras_mtl.data._label_summary import LabelSummary


def balanced_class_weights(
    summaries: Mapping[str, LabelSummary], *, beta: float | None = None
) -> dict[str, dict[int, float]]:
    """Computes weights under which rare classes count as much as frequent ones.

    `class_weights` takes the result. With n_c examples of class c, C classes and n examples, a
    class weighs n / (C n_c): all classes together weigh the same. With `beta`, it weighs in
    proportion to (1 - beta) / (1 - beta^n_c), and the weights of a task sum to C: each further
    example of a class adds less, so weights are less extreme. Choose it where a class is so rare
    that its few examples would dominate the task; choose `resample` where batches would hold no
    example of it.

    Args:
        summaries: The result of `describe`. Tasks without classes, and tasks of several columns,
            are left out.
        beta: In [0, 1): 0 for no weighting, near 1 for weights by counts. The paper takes .9 to
            .9999. Defaults to weights by counts.

    Returns:
        By task, the weight of each class that has an example.

    Raises:
        ValueError: If beta is not a number in [0, 1).

    Example:
        >>> summary = {"rare": LabelSummary(classes={0: 90, 1: 10})}
        >>> balanced_class_weights(summary)["rare"]
        {0: 0.5555555555555556, 1: 5.0}
        >>> balanced_class_weights(summary, beta=0.9)["rare"]
        {0: 0.7888..., 1: 1.2111...}

    Reference: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples"
    (arXiv:1901.05555).
    """
    if beta is not None:
        beta = read_number(
            beta, "beta must be at least 0 and below 1; received", low=0, high=1, below=True
        )
    weights = {}
    for name, summary in summaries.items():
        counts = {value: count for value, count in sorted(summary.classes.items()) if count}
        if not counts or summary.columns:
            continue
        sizes = np.array(list(counts.values()), np.float64)
        if beta is None:
            shares = sizes.sum() / (len(sizes) * sizes)
        else:
            shares = (1 - beta) / (1 - beta**sizes)  # 1 / E_n, proposition 1 of the paper
            shares *= len(sizes) / shares.sum()
        weights[name] = dict(zip(counts, shares.tolist(), strict=True))
    return weights
