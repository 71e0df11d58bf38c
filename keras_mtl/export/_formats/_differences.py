"""How far the answers of two artifacts differ."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_SMALL_ANSWERS = 100  # answers far below 1 are compared with their scale, 100 times less strictly
_MOST_NOISE = 1e-4  # of the scale: more is no rounding, but a number that changed its bin


def largest_difference(expected: Array, answer: Array) -> float:
    """Returns the largest difference of two arrays; infinity where their shapes or NaNs differ.

    Example:
        >>> largest_difference(np.array([1.0, np.nan]), np.array([1.25, np.nan]))
        0.25
        >>> largest_difference(np.array([1.0, np.nan]), np.array([1.0, 0.5]))
        inf
    """
    return float(differences(expected, answer).max(initial=0.0))


def differences(expected: Array, answer: Array) -> Array:
    """Returns the difference of each entry, float64; one infinity for different shapes."""
    if expected.shape != answer.shape:
        return np.array(np.inf)
    if expected.dtype.kind not in "fiub" or answer.dtype.kind not in "fiub":
        return np.where(expected == answer, 0.0, np.inf)
    first, second = expected.astype("float64"), answer.astype("float64")
    # Infinity is equal to itself alone; NaN is equal to NaN.
    equal = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        apart = np.where(equal, 0.0, np.abs(first - second))
    return np.nan_to_num(apart, nan=np.inf, posinf=np.inf)


def is_too_far(
    expected: Array, answer: Array, tolerance: float, noise: Array | float = 0.0
) -> bool:
    """Returns whether two answers differ by more than a tolerance.

    Whole numbers (decisions, classes) have to be equal. Floats may differ by `tolerance` of the
    largest expected number, or of 1 where that is smaller; but never by more than 100 times
    `tolerance` of the largest expected number, so that answers of 1e-6 are compared, too. To this
    comes the noise of the entry, up to 1e-4 of the largest expected number.

    Args:
        expected: Answers of the reference.
        answer: Answers to judge.
        tolerance: A fraction of the scale.
        noise: What rounding may change, by entry.
    """
    apart = differences(expected, answer)
    if expected.dtype.kind != "f":
        return bool(apart.max(initial=0.0) > 0)
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max(initial=0.0))
    bound = tolerance * min(max(scale, 1.0), _SMALL_ANSWERS * scale or 1.0)
    return bool((apart > bound + np.minimum(noise, _MOST_NOISE * scale)).any())


def rounding_noise(expected: Array, changed: Array) -> Array:
    """Returns what rounding may change of answers, by entry.

    Four times the change of the answer when the numbers of the request change in their sixth
    digit, and at least that of the median entry: large numbers that cancel inside of a network
    leave larger errors than their sum shows.

    Args:
        expected: Answers, floats.
        changed: Answers to the changed request.
    """
    noise = 4 * differences(expected, changed)
    noise[~np.isfinite(noise)] = 0.0
    return np.maximum(noise, np.median(noise)) if noise.size else noise


def check_answers(
    expected: Mapping[str, Array],
    answers: Mapping[str, Array],
    noise: Mapping[str, Array],
    task_of: Callable[[str], str],
    tolerance: float,
) -> None:
    """Checks that an artifact answers as the SavedModel does.

    Args:
        expected: Answers of the SavedModel, by output.
        answers: Answers of the artifact, by output.
        noise: What rounding may change, by output; others are not noisy.
        task_of: Returns the task of an output.
        tolerance: As in `is_too_far`.

    Raises:
        ValueError: If outputs are missing, or some answer differs by more than the tolerance; the
            message names the task.
    """
    if set(answers) != set(expected):
        raise ValueError(f"outputs are {sorted(answers)}; the SavedModel has {sorted(expected)}.")
    far = [
        name
        for name in expected
        if is_too_far(expected[name], answers[name], tolerance, noise.get(name, 0.0))
    ]
    if far:
        worst = max(far, key=lambda name: largest_difference(expected[name], answers[name]))
        raise ValueError(
            f"task {task_of(worst)!r} is moved: output {worst!r} differs by "
            f"{largest_difference(expected[worst], answers[worst]):.2g} from the SavedModel, and "
            f"{tolerance:g} of its scale is allowed (outputs that differ: {sorted(far)}). Nothing "
            "was written. If that much is rounding in a large network, allow it by tolerance=."
        )
