"""How many rows a batch needs before the gradient of a task exceeds its noise."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._names import read_names
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number, format_table


@dataclasses.dataclass(frozen=True)
class NoiseScale:
    """Holds the noise scale of each task. `print` shows it as a table.

    Args:
        tasks: The names of the K tasks.
        squared_gradients: Estimates of the squared length of the true gradient, `[K]`.
        noise: Estimates of the trace of the covariance of the gradient of one row, `[K]`.
        scales: Noise divided by squared gradient, in rows, `[K]`. NaN if the squared gradient is
            not positive: then the gradient is below the noise even of the large batch.

    Example:
        >>> noise_scale(2.0, 1.25, small_rows=64, large_rows=256).scales
        array([64.])
    """

    tasks: tuple[str, ...]
    squared_gradients: FloatArray
    noise: FloatArray
    scales: FloatArray

    def __str__(self) -> str:
        columns = (self.squared_gradients, self.noise, self.scales)
        rows = [
            [name, *map(format_number, values)]
            for name, *values in zip(
                self.tasks, *(column.tolist() for column in columns), strict=True
            )
        ]
        return format_table(["task", "squared gradient", "noise", "noise scale (rows)"], rows)


def noise_scale(
    small: Any,
    large: Any,
    *,
    small_rows: Any,
    large_rows: Any,
    tasks: Iterable[Any] | None = None,
) -> NoiseScale:
    """Computes the noise scale of each task from gradients of small and of large batches.

    With b and B rows and the squared lengths |g_b|^2 and |g_B|^2 of the gradients of a task:

        |G|^2 = (B |g_B|^2 - b |g_b|^2) / (B - b)
        S     = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)
        scale = S / |G|^2

    Both parts are averaged over steps before they are divided, since the ratio of one step is
    heavily biased.

    Choose it to judge whether the direction of a task's gradient can be trusted: far above the
    batch size, the direction is mostly noise, and rules that turn gradients (`PCGrad`, `CAGrad`)
    turn noise. A larger batch helps there, and more than a rule does. Two halves of a batch and
    their mean are enough: b = B / 2. Do not read a single step.

    Args:
        small: |g_b|^2, `[K]` or `[steps, K]`, or one number. The mean of several small batches of
            a step is better than one of them. NaN for an absent task.
        large: |g_B|^2, of the same shape.
        small_rows: b, in rows: one number, or one per task. A task with missing labels counts its
            labeled rows.
        large_rows: B, likewise; larger than b.
        tasks: The names of the K tasks, or the tasks. By default, their positions.

    Returns:
        A `NoiseScale`.

    Raises:
        TypeError: If a value is no number.
        ValueError: If shapes differ, or `large_rows` is not larger than `small_rows`.

    Example:
        >>> print(noise_scale([2.0, 0.9], [1.25, 0.8], small_rows=64, large_rows=256))
        task  squared gradient  noise  noise scale (rows)
        0                    1     64                  64
        1                0.767   8.53                11.1

    Reference:
        McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", arXiv:1812.06162,
        appendix A. There, exponential means of both parts are taken; here, plain ones.
    """
    short = np.atleast_1d(read_numbers(small, "small"))
    long = np.atleast_1d(read_numbers(large, "large"))
    if short.shape != long.shape or short.ndim > 2:
        raise ValueError(
            f"small has shape {short.shape} and large {long.shape}; expected one shape, (tasks,) "
            "or (steps, tasks)."
        )
    names = read_names(tasks if tasks is not None else range(short.shape[-1]))
    b, large_b = _read_rows(small_rows, large_rows, names)
    squares = _mean((large_b * long - b * short) / (large_b - b))
    noise = _mean((short - long) / (1 / b - 1 / large_b))
    with np.errstate(invalid="ignore", divide="ignore"):
        scales = np.where(squares > 0, noise / squares, np.nan)
    return NoiseScale(names, squares, noise, scales)


def _read_rows(
    small_rows: Any, large_rows: Any, names: tuple[str, ...]
) -> tuple[FloatArray, FloatArray]:
    """Returns both numbers of rows, `[K]`."""
    counts = [read_numbers(small_rows, "small_rows"), read_numbers(large_rows, "large_rows")]
    for argument, count in zip(("small_rows", "large_rows"), counts, strict=True):
        if count.shape not in ((), (len(names),)):
            raise ValueError(
                f"{argument} has shape {count.shape}; expected one number, or {len(names)}: one "
                "per task."
            )
    b, large_b = (np.broadcast_to(count, (len(names),)) for count in counts)
    for name, few, many in zip(names, b.tolist(), large_b.tolist(), strict=True):
        if not 0 < few < many < np.inf:
            raise ValueError(
                f"task {name!r}: small_rows is {few:g} and large_rows {many:g}; expected "
                "0 < small_rows < large_rows."
            )
    return b, large_b


def _mean(values: FloatArray) -> FloatArray:
    """Returns means over steps of all numbers that exist, `[K]`."""
    values = np.atleast_2d(values)
    counts = np.sum(~np.isnan(values), axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / counts)
