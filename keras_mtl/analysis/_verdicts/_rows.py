"""Rows of a comparison, before and after the correction of their p-values."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._verdicts._corrections import correct
from keras_mtl.analysis._verdicts._intervals import Interval, RowVariance, combine
from keras_mtl.analysis._verdicts._modes import Mode, sign_of
from keras_mtl.analysis._verdicts._rule import decide_verdict

_NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Subject:
    """Names a row.

    Args:
        task: The name of the task.
        column: The name of its column, or `None`.
        metric: The name of the metric.
        mode: Its direction.
        margin: The smallest gain that counts.
    """

    task: str
    column: str | None
    metric: str
    mode: Mode
    margin: float


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Holds what is known of a row.

    Args:
        baseline: Scores `[S]`.
        contender: Scores `[S]`.
        over_rows: The variance of the mean difference over rows, or `None`.
        num_rows: The number of rows that it counts; 0 for none.
        chance: The score of a prediction that knows nothing, or `None`.
        note: What a reader has to know.
    """

    baseline: FloatArray
    contender: FloatArray
    over_rows: RowVariance | None
    num_rows: int
    chance: float | None
    note: str


def untested_row(subject: Subject, num_seeds: int, num_rows: int, reason: str) -> TaskVerdict:
    """Returns a row without numbers, whose note says why."""
    return TaskVerdict(
        **dataclasses.asdict(subject),
        baseline=_NAN,
        contender=_NAN,
        difference=_NAN,
        lower=_NAN,
        upper=_NAN,
        gain=_NAN,
        gain_lower=_NAN,
        gain_upper=_NAN,
        chance_gain=_NAN,
        num_seeds=num_seeds,
        num_rows=num_rows,
        method="none",
        p=_NAN,
        corrected_p=_NAN,
        verdict="undecided",
        note=reason,
    )


def make_row(subject: Subject, evidence: Evidence) -> TaskVerdict:
    """Returns a row with its interval and the p-value of the t-test, not yet corrected."""
    differences = evidence.contender - evidence.baseline
    interval = combine(differences, evidence.over_rows)
    level = float(evidence.baseline.mean())
    # A baseline of 0 has no gains; the sign of the difference remains, at a margin of 0.
    unit = abs(level) if level else _NAN
    p = (
        interval.p_beyond(subject.margin * unit)
        if level or subject.margin
        else interval.p_beyond(0)
    )
    note = evidence.note
    if not level:
        note = "; ".join([*filter(None, [note]), "no gain over a baseline of 0"])
    if interval.error != interval.error:
        note = "; ".join([*filter(None, [note]), "nothing varies over rows or seeds"])
    signed = sign_of(subject.mode) * interval.mean + 0.0  # no -0
    width = interval.half_width
    return TaskVerdict(
        **dataclasses.asdict(subject),
        baseline=level,
        contender=float(evidence.contender.mean()),
        difference=interval.mean,
        lower=interval.mean - width,
        upper=interval.mean + width,
        gain=signed / unit,
        gain_lower=(signed - width) / unit,
        gain_upper=(signed + width) / unit,
        chance_gain=_over_chance(signed, level, evidence.chance),
        num_seeds=len(differences),
        num_rows=evidence.num_rows,
        method=_method(interval, len(differences), evidence.over_rows),
        p=p,
        corrected_p=p,
        verdict="undecided",
        note=note,
    )


def _over_chance(improvement: float, level: float, chance: float | None) -> float:
    if chance is None or level == chance:
        return _NAN
    return improvement / abs(level - chance)


def _method(interval: Interval, num_seeds: int, over_rows: RowVariance | None) -> str:
    if over_rows is None:
        return "t over seeds alone"
    return "t over rows of one training" if num_seeds == 1 else "t over seeds and rows"


def conclude(rows: Sequence[TaskVerdict]) -> tuple[tuple[TaskVerdict, ...], str]:
    """Corrects the p-values of rows for their number, and comes to their verdicts.

    Returns:
        The rows, and the name of the correction.
    """
    corrected, name = correct(np.array([row.p for row in rows]))
    concluded = []
    for row, p in zip(rows, corrected.tolist(), strict=True):
        sign = sign_of(row.mode)
        ends = sorted([sign * row.lower, sign * row.upper])
        lower, upper = ends if row.gain != row.gain else (row.gain_lower, row.gain_upper)
        verdict = decide_verdict(lower, upper, p, row.margin) if row.is_tested else "undecided"
        concluded.append(dataclasses.replace(row, corrected_p=p, verdict=verdict))
    return tuple(concluded), name


def read_margins(margin: Any, tasks: Sequence[str]) -> list[float]:
    """Returns the margin of each task.

    Raises:
        ValueError: If a margin is below 0 or not finite, or a dict has other tasks.
    """
    margins = [float(value) for value in choose(margin, tasks, "margin")]
    if not all(0.0 <= value < float("inf") for value in margins):
        raise ValueError(f"margin is {margin!r}; expected gains of at least 0, such as 0.01.")
    return margins
