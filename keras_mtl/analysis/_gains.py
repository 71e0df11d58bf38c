"""How much better or worse metrics are than those of a baseline, in the four common definitions."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._verdicts._modes import Mode, sign_of
from keras_mtl.analysis._verdicts._named_values import (
    Key,
    in_order,
    read_chances,
    read_modes,
    read_values,
)


@dataclasses.dataclass(frozen=True)
class Gains:
    """Holds the gains of metrics over a baseline. `print` shows them as a table.

    All gains are fractions of the baseline, positive where the metric is better, except `delta_m`.

    Args:
        keys: The task and the metric of each of M values.
        modes: `"max"` or `"min"` for each of them.
        metric_gains: s (M - B) / |B| for each of them, `[M]`.
        chance_gains: s (M - B) / |B - c| for each of them, `[M]`; NaN where no score by chance is
            known, or the baseline is no better than it.
        task_gains: The mean of `metric_gains` over the metrics of each task, by task.
        delta_p: The mean of `task_gains`: higher is better.
        delta_m: -100 times the mean of `metric_gains`, in percent: lower is better.
        worst_task: The task with the smallest of `task_gains`.

    Example:
        >>> result = gains({"income": 0.95, "age": 8.0}, {"income": 0.94, "age": 7.9},
        ...                directions={"income": "max", "age": "min"})
        >>> result.worst_task, round(result.worst_gain, 4)
        ('age', -0.0127)
    """

    keys: tuple[Key, ...]
    modes: tuple[Mode, ...]
    metric_gains: FloatArray
    chance_gains: FloatArray
    task_gains: Mapping[str, float]
    delta_p: float
    delta_m: float
    worst_task: str

    @property
    def worst_gain(self) -> float:
        """The gain of the worst task, as a fraction: higher is better."""
        return self.task_gains[self.worst_task]

    def __str__(self) -> str:
        values = zip(self.metric_gains.tolist(), self.chance_gains.tolist(), strict=True)
        rows = [
            [task, metric, mode, _percent(gain), _percent(over_chance)]
            for (task, metric), mode, (gain, over_chance) in zip(
                self.keys, self.modes, values, strict=True
            )
        ]
        header = ["task", "metric", "better", "gain %", "over chance %"]
        return "\n".join(
            [
                format_table(header, rows),
                f"delta p    {_percent(self.delta_p)} %, the mean over tasks; higher is better",
                f"delta m    {format_number(self.delta_m)} %, the mean over metrics with the sign "
                "turned; lower is better",
                f"worst task {_percent(self.worst_gain)} %, of {self.worst_task}; higher is better",
            ]
        )


def gains(
    metrics: Any,
    baseline: Any,
    *,
    directions: str | Mapping[str, str] | None = None,
    chance: Mapping[str, float] | None = None,
) -> Gains:
    """Computes how much better metrics are than those of a baseline.

    For a metric M, the baseline's B, and s = 1 if the metric is better high and -1 if better low:

        gain of a metric   g = s (M - B) / |B|
        delta p            mean over tasks of the mean of g over the task's metrics; high is good
        delta m            -100 x the mean of g over all metrics, in percent; low is good
        worst task         min over tasks of the mean of g over the task's metrics; high is good
        over chance        s (M - B) / |B - c|, with the score c of a prediction by chance

    Choose it for one number per contender where the baseline is one network per task, as papers
    report it. The numbers do not say the same: in delta m a task with many metrics counts more, so
    that delta m and delta p can disagree on whether a contender is better at all. State which one
    you report. Not for the question whether a contender is better beyond chance: it knows nothing
    of seeds and rows. `compare` does. A gain relative to an AUC is small by construction: from
    .940 to .9406 it is .064 %, but .136 % over chance; from .52 to .54 it is 3.8 %, but 100 %.

    Args:
        metrics: The contender's metrics by task: `{"income": {"auc": 0.94, "f1": 0.5}}`; or one
            number per task, whose metric is then named by its task.
        baseline: The baseline's, likewise.
        directions: `"max"` or `"min"` by metric. Needed for metrics whose name does not say it; or
            one of the two, for all metrics.
        chance: The score by chance by metric. Defaults to .5 for AUC and 0 for `mcc`, `r2` and
            `spearman`; other metrics have none.

    Returns:
        A `Gains`.

    Raises:
        TypeError: If the metrics are no dicts of numbers.
        ValueError: If tasks or metrics differ, a direction is unknown, a value is not finite, or a
            metric of the baseline is 0, of which no gain is a fraction.

    Example:
        >>> print(gains(
        ...     {"income": {"auc": 0.9406}, "age": {"mae": 8.0, "r2": 0.5}},
        ...     {"income": {"auc": 0.94}, "age": {"mae": 8.2, "r2": 0.52}},
        ... ))
        task    metric  better  gain %  over chance %
        income     auc     max  0.0638          0.136
        age        mae     min    2.44              -
        age         r2     max   -3.85          -3.85
        delta p    -0.32 %, the mean over tasks; higher is better
        delta m    0.448 %, the mean over metrics with the sign turned; lower is better
        worst task -0.704 %, of age; higher is better

    Reference:
        delta p: Lin and Zhang 2023, LibMTL, https://jmlr.org/papers/v24/22-0347.html; delta m:
        Navon et al. 2022, arXiv:2202.01017. Over chance: "RelaImpr" of papers on recommendation
        (AUC alone). Both deltas divide by B; this function divides by |B|, since a negative B would
        turn the sign. LibMTL takes the first epoch of the same training where no baseline is
        passed; here it is required.
    """
    reference = read_values(baseline, "baseline")
    keys = list(reference)
    modes = read_modes(directions, keys)
    levels = np.array(in_order(reference, keys, "baseline", "baseline"))
    _check_divisors(keys, levels)
    values = in_order(read_values(metrics, "metrics"), keys, "metrics", "baseline")
    improvements = np.array([sign_of(mode) for mode in modes]) * (np.array(values) - levels)
    chances = read_chances(chance, keys)
    distances = np.abs(levels - np.array([np.nan if c is None else c for c in chances]))
    distances[distances == 0.0] = np.nan
    metric_gains = improvements / np.abs(levels)
    task_gains = _mean_by_task(keys, metric_gains)
    return Gains(
        tuple(keys),
        tuple(modes),
        metric_gains,
        improvements / distances,
        task_gains,
        delta_p=float(np.mean([*task_gains.values()])),
        delta_m=-100.0 * float(np.mean(metric_gains)),
        worst_task=min(task_gains, key=task_gains.__getitem__),
    )


def _check_divisors(keys: list[Key], levels: FloatArray) -> None:
    for (task, metric), level in zip(keys, levels.tolist(), strict=True):
        if level == 0.0:
            raise ValueError(
                f"baseline: task {task!r}, metric {metric!r} is 0, and a gain is a fraction of "
                "it. Compare differences instead, or pass another metric."
            )


def _mean_by_task(keys: list[Key], values: FloatArray) -> dict[str, float]:
    rows: dict[str, list[float]] = {}
    for (task, _), value in zip(keys, values.tolist(), strict=True):
        rows.setdefault(task, []).append(value)
    return {task: float(np.mean(entries)) for task, entries in rows.items()}


def _percent(fraction: float) -> str:
    return format_number(100.0 * fraction)
