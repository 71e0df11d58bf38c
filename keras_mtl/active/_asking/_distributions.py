"""Arrays of probabilities, checked."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]

_TOLERANCE = 1e-3  # probabilities in half precision sum to 1 no better than this


def read_distributions(values: Any, subject: str) -> FloatArray:
    """Returns distributions `[..., classes]` in float64.

    Args:
        values: Should be probabilities that sum to 1 along the last axis.
        subject: The beginning of messages, such as `"task 'topic': the prediction"`.

    Raises:
        ValueError: If they are not.
    """
    array = np.asarray(values, "float64")
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ValueError(
            f"{subject} has the shape {array.shape}; expected probabilities of two or more classes "
            "along the last axis. Of a yes-or-no label, stack those of no and yes."
        )
    wrong = ~np.isfinite(array) | (array < 0) | (array > 1 + _TOLERANCE)
    if wrong.any():
        raise ValueError(f"{subject} holds {array[wrong][0]:g}; expected probabilities.")
    sums = array.sum(axis=-1)
    off = np.abs(sums - 1) > _TOLERANCE
    if off.any():
        raise ValueError(
            f"{subject} holds probabilities that sum to {sums[off].flat[0]:g}; expected 1. Logits "
            "need a softmax first."
        )
    return array


def entropy_of(probabilities: FloatArray) -> FloatArray:
    """Returns the entropies of checked distributions, in nats."""
    positive = probabilities > 0
    logarithms = np.log(np.where(positive, probabilities, 1.0))
    entropies: FloatArray = -np.sum(probabilities * logarithms, axis=-1)
    return np.maximum(entropies, 0.0)
