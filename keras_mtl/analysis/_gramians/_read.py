"""Gramians and weights as users bring them, with a check of what is missing."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers


def read_gramians(gramian: Any, tasks: Iterable[Any] | None) -> tuple[FloatArray, tuple[str, ...]]:
    """Returns the Gramians of all steps, `[steps, K, K]`, and the names of the tasks.

    Raises:
        ValueError: If a Gramian is not symmetric, is infinite, or misses a part of a task's row.
    """
    values, names = read_matrices(gramian, tasks, "gramian", stack=True)
    steps = values.reshape(-1, len(names), len(names))
    if not len(steps) or not names:
        raise ValueError(f"gramian has shape {values.shape}; expected at least one step and task.")
    _check_finite(steps, names)
    scale = np.sqrt(np.abs(np.nan_to_num(steps)).max(axis=(1, 2), keepdims=True))
    scale[scale == 0] = 1.0
    scaled = steps / scale / scale  # a product of two small scales would become 0
    if not np.allclose(scaled, scaled.swapaxes(1, 2), rtol=0, atol=1e-4, equal_nan=True):
        raise ValueError(
            "gramian is not symmetric; expected the inner products g_i . g_j. For gradients of "
            "two half batches, take unbiased_gramian, which is symmetric."
        )
    return steps / 2 + steps.swapaxes(1, 2) / 2, names


def _check_finite(steps: FloatArray, names: tuple[str, ...]) -> None:
    infinite = np.argwhere(np.isinf(steps))
    if len(infinite):
        step, row, _ = infinite[0]
        raise ValueError(
            f"gramian is infinite for task {names[row]!r} in step {step}; expected finite numbers. "
            "Leave the step out, or pass NaN in the row and column of the task."
        )
    absent = np.isnan(np.diagonal(steps, axis1=1, axis2=2))
    expected = absent[:, :, None] | absent[:, None, :]
    wrong = np.argwhere(np.isnan(steps) != expected)
    if len(wrong):
        step, row, column = wrong[0]
        raise ValueError(
            f"gramian misses a part of the row of task {names[row]!r} in step {step} (see column "
            f"{names[column]!r}); expected NaN in the whole row and column of an absent task, and "
            "nowhere else."
        )


def read_weights(weights: Any, names: tuple[str, ...], num_steps: int) -> FloatArray:
    """Returns the task weights of each step, `[steps, K]`.

    Raises:
        ValueError: If the weights have another shape or other names, or are not finite.
    """
    if weights is None:
        return np.ones((num_steps, len(names)))
    if isinstance(weights, Mapping):
        weights = choose(weights, names, "weights")
    values = read_numbers(weights, "weights")
    if values.shape not in ((len(names),), (num_steps, len(names))):
        raise ValueError(
            f"weights has shape {values.shape}; expected ({len(names)},), one weight per task, or "
            f"({num_steps}, {len(names)}), one row per step."
        )
    if np.isinf(values).any():
        raise ValueError("weights has an infinite entry; expected finite weights.")
    return np.broadcast_to(values, (num_steps, len(names)))


def diagonals(steps: FloatArray) -> FloatArray:
    """Returns the squared lengths of the gradients, `[steps, K]`, NaN for absent tasks."""
    return np.diagonal(steps, axis1=1, axis2=2)


def scale_of(steps: FloatArray) -> float:
    """Returns the largest absolute entry, or 1 if all are 0 or missing."""
    return float(np.abs(np.nan_to_num(steps)).max()) or 1.0


def are_active(steps: FloatArray) -> npt.NDArray[np.bool_]:
    """Returns which tasks take part in which step, `[steps, K]`."""
    return ~np.isnan(diagonals(steps))
