"""How well the encoder of one task serves the head of another."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._matrices import read_matrices
from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number, format_table


@dataclasses.dataclass(frozen=True)
class TransferMatrix:
    """Holds how well encoders transfer. `print` shows the matrix.

    Args:
        tasks: The names of the K tasks.
        values: T, `[K, K]`: row s, column t is the encoder of task s under the head of task t. 0 is
            no better than a random encoder, 1 as good as the encoder of the task itself.
        missing: By target, why its column is missing.

    Example:
        >>> transfer = transfer_matrix([[0.9, 0.7], [0.8, 0.8]], random=0.6)
        >>> transfer.values.round(2)
        array([[1.  , 0.5 ],
               [0.67, 1.  ]])
    """

    tasks: tuple[str, ...]
    values: FloatArray
    missing: dict[str, str]

    def __str__(self) -> str:
        rows = [
            [task, *map(format_number, row)]
            for task, row in zip(self.tasks, self.values.tolist(), strict=True)
        ]
        lines = [format_table(["source to target", *self.tasks], rows)]
        lines += [f"{task}: {reason}" for task, reason in self.missing.items()]
        return "\n".join(lines)


def transfer_matrix(
    metrics: Any,
    *,
    random: float | Sequence[float] | Mapping[str, float],
    maximize: bool | Sequence[bool] | Mapping[str, bool] = True,
    tasks: Iterable[Any] | None = None,
) -> TransferMatrix:
    """Computes how well the encoder of each task transfers to each other task.

    With M_st the metric of task t when its head is trained on the frozen encoder of the
    single-task network of task s, and M_rt the same on a frozen encoder with random variables:

        T_st = (M_st - M_rt) / (M_tt - M_rt)

    0 is no better than random, 1 as good as the encoder of t itself, and above 1 it transfers
    better than that. It has no unit and no direction, so targets with different metrics compare.

    Choose it where K^2 small heads can be trained (encode the rows once for each source) and the
    question is which task's data helps which. It is not symmetric, and `group_tasks` takes it as
    affinities. Do not choose it for targets whose own encoder hardly beats a random one: the
    denominator is then noise.

    Args:
        metrics: M, `[K, K]`: sources by targets. An array, a frame or a dict of dicts by task. NaN
            for a transfer that was not trained.
        random: M_rt of each target: one number, `[K]`, or a dict by task.
        maximize: Whether larger metrics are better: for all targets, or for each of them.
        tasks: The names of the K tasks, or the tasks. By default, their positions.

    Returns:
        A `TransferMatrix`. A target whose own encoder is no better than a random one has a column
        of NaN, and `missing` says so.

    Raises:
        TypeError: If a metric is no number.
        ValueError: If a metric is infinite, or shapes or names do not fit.

    Example:
        >>> metrics = {"age": {"age": 0.8, "fee": 2.0}, "fee": {"age": 0.7, "fee": 1.0}}
        >>> print(
        ...     transfer_matrix(
        ...         metrics,
        ...         random={"age": 0.6, "fee": 3.0},
        ...         maximize={"age": True, "fee": False},
        ...     )
        ... )
        source to target  age  fee
        age                 1  0.5
        fee               0.5    1

    Reference:
        Zamir et al. 2018, "Taskonomy", arXiv:1804.08328, which compares losses row by row instead
        (`rank_sources`).
    """
    values, names = read_matrices(metrics, tasks, "metrics")
    if not names:
        raise ValueError("metrics has no tasks; expected at least one.")
    floor = read_numbers(choose(random, names, "random"), "random")
    signs = np.where(np.array(choose(maximize, names, "maximize"), bool), 1.0, -1.0)
    for name, column, low in zip(names, values.T, floor, strict=True):
        if np.isinf(column).any() or not np.isfinite(low):
            raise ValueError(
                f"target {name!r} has metrics {column.tolist()} and {low:g} on a random encoder; "
                "expected finite numbers, or NaN for a transfer that was not trained."
            )
    span = (np.diagonal(values) - floor) * signs
    with np.errstate(invalid="ignore", divide="ignore"):
        result = (values - floor) * signs / span
    result[:, ~(span > 0)] = np.nan
    return TransferMatrix(names, result, _explain(names, span))


def _explain(names: Sequence[str], span: FloatArray) -> dict[str, str]:
    reasons = {}
    for name, difference in zip(names, span.tolist(), strict=True):
        if np.isnan(difference):
            reasons[name] = "the metric on its own encoder is missing"
        elif difference <= 0:
            reasons[name] = "its own encoder is no better than a random one"
    return reasons
