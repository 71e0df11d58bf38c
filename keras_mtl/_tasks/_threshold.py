"""The threshold of a task: one probability, or one for each of its labels."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from keras_mtl._tasks._output import Output

Threshold: TypeAlias = float | Sequence[float]
"""A probability above which a label is decided as yes; a sequence has one per label."""


def read_threshold(name: str, threshold: Any) -> float | tuple[float, ...] | None:
    """Returns a threshold as a float or a tuple, so that equal tasks are equal.

    Args:
        name: The task, for messages.
        threshold: As a user gives it; `None` for none.

    Raises:
        ValueError: If it is neither a probability nor a sequence of probabilities.
    """
    if threshold is None:
        return None
    wrong = ValueError(
        f"task {name!r}: threshold is a probability from 0 to 1; received {threshold!r}. A "
        "sequence has one for each label."
    )
    try:
        values = np.asarray(threshold)
        numbers = values.astype(float)
    except (ValueError, TypeError):
        raise wrong from None
    # A string of digits is no number, and neither is True.
    if values.dtype.kind not in "iuf" or values.ndim > 1 or not values.size:
        raise wrong
    if not np.all((numbers >= 0.0) & (numbers <= 1.0)):  # False of NaN, too
        raise wrong
    return tuple(numbers.tolist()) if values.ndim else float(numbers)


def check_threshold(threshold: float | Sequence[float] | None, output: Output) -> None:
    """Checks that a task with a threshold has yes-or-no labels, as many as there are thresholds.

    Args:
        threshold: As `read_threshold` returns it.
        output: The labels and the prediction of the task, with all of its columns.

    Raises:
        ValueError: If not.
    """
    if threshold is None:
        return
    if output.kind != "yes or no":
        raise ValueError(
            "threshold is for yes-or-no labels; the labels of this task are of the kind "
            f"{output.kind!r}"
        )
    if isinstance(threshold, float) or len(tuple(threshold)) == output.width:
        return
    size = len(tuple(threshold))
    if output.width is None:
        raise ValueError(
            f"threshold is a sequence of {size}, and nothing says how many labels this task has; "
            f"say so by labels=Labels(({size},), low=0, high=1)"
        )
    raise ValueError(
        f"threshold is a sequence of {size}, and this task has {output.width} label(s); give one "
        "probability for all labels, or one for each of them in their order"
    )
