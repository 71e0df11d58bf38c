"""Whether a contender is better than a baseline, from the metrics of several seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._intervals import RowVariance
from keras_mtl.analysis._verdicts._named_values import (
    Key,
    in_order,
    read_chances,
    read_modes,
    read_values,
)
from keras_mtl.analysis._verdicts._rows import Evidence, Subject, make_row, read_margins
from keras_mtl.analysis._verdicts._totals import factors_of, summarize

_LEAST_SEEDS = 3


def compare_scores(
    baseline: Any,
    contender: Any,
    *,
    directions: str | Mapping[str, str] | None = None,
    row_errors: Any = None,
    margin: float | Mapping[str, float] = 0.0,
    chance: Mapping[str, float] | None = None,
) -> Comparison:
    """Decides for each task whether a contender is better, from the metrics of paired seeds.

    The interval is that of `compare` with what is known: without `row_errors`, V1 alone, a
    t-interval over the S differences. It says what other trainings would give on *this* test set,
    and nothing of other test rows. Where test rows are few, such an interval can cover as little as
    half of the time instead of 95 %.

    Choose it for metrics of papers and logs, where predictions are gone. Wherever there are
    predictions, take `compare`.

    Args:
        baseline: By task, the metric of each seed `[S]`; or by task and metric:
            `{"income": {"auc": [0.94, 0.93, 0.94]}}`.
        contender: Likewise, of the same seeds in the same order.
        directions: `"max"` or `"min"` by metric, or for all. Needed for metrics whose name does not
            say it.
        row_errors: Likewise by task or by task and metric: the standard error of the mean
            difference over test rows, sqrt(V2), for metrics of which it is known. For the mean
            gain, errors of tasks are added, as if rows moved all tasks alike: the interval is then
            wide rather than short.
        margin: The smallest gain that counts, as a fraction of the baseline's score, for all tasks
            or by task. Defaults to 0.
        chance: The score by chance by metric, as for `gains`.

    Returns:
        A `Comparison`.

    Raises:
        TypeError: If the scores are no dicts of numbers.
        ValueError: If tasks, metrics or seeds differ, a direction is unknown, or there are fewer
            than 3 seeds without `row_errors`.

    Example:
        >>> result = compare_scores(
        ...     {"income": {"auc": [0.930, 0.932, 0.931, 0.929, 0.930]}},
        ...     {"income": {"auc": [0.934, 0.938, 0.933, 0.934, 0.933]}},
        ... )
        >>> result.rows[0].verdict, round(result.gain, 4)
        ('helped', 0.0043)
    """
    reference = read_values(baseline, "baseline", ndim=1)
    keys = list(reference)
    tasks = [*dict.fromkeys(task for task, _ in keys)]
    before = in_order(reference, keys, "baseline", "baseline")
    after = in_order(read_values(contender, "contender", ndim=1), keys, "contender", "baseline")
    _check_seeds(keys, [*before, *after], 1 if row_errors is not None else _LEAST_SEEDS)
    errors = _read_errors(row_errors, keys)
    margins = dict(zip(tasks, read_margins(margin, tasks), strict=True))
    modes, chances = read_modes(directions, keys), read_chances(chance, keys)
    rows = [
        make_row(
            Subject(task, None, metric, modes[i], margins[task]),
            Evidence(
                before[i], after[i], _variance(errors[i]), 0, chances[i], _NOTES[errors[i] is None]
            ),
        )
        for i, (task, metric) in enumerate(keys)
    ]
    factors = np.array(factors_of(rows))
    gains = factors @ (np.array(after) - np.array(before))
    error = None if row_errors is None else float(np.abs(factors) @ np.array(errors))
    return summarize(rows, gains, _variance(error))


_NOTES = ("", "rows not resampled: for this test set alone")


def _variance(error: float | None) -> RowVariance | None:
    return None if error is None else RowVariance(error**2, float("inf"))


def _read_errors(row_errors: Any, keys: list[Key]) -> list[float] | list[None]:
    if row_errors is None:
        return [None] * len(keys)
    errors = in_order(read_values(row_errors, "row_errors"), keys, "row_errors", "baseline")
    if min(errors) < 0.0:
        raise ValueError(f"row_errors is {row_errors!r}; expected standard errors of at least 0.")
    return [float(error) for error in errors]


def _check_seeds(keys: list[Key], scores: list[FloatArray], least: int) -> None:
    counts = {len(values) for values in scores}
    if len(counts) > 1:
        lengths = {key: len(values) for key, values in zip(keys * 2, scores, strict=True)}
        raise ValueError(
            f"scores have {sorted(counts)} seeds, for example {lengths}; expected the same paired "
            "seeds for all tasks and both models."
        )
    if min(counts) < least:
        raise ValueError(
            f"scores have {min(counts)} seeds; expected at least {least}, since an interval over "
            "seeds alone needs their spread. With predictions, `compare` takes one seed."
        )
