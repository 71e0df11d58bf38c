"""The comparison of each contender with the baseline on the test rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis import (
    Comparison,
    Metric,
    TaskVerdict,
    compare,
    compare_scores,
    correct_jointly,
)
from keras_mtl.analysis._verdicts._rows import Subject, untested_row
from keras_mtl.analysis._verdicts._totals import factors_of, summarize
from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._data._test_rows import LabeledRows
from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._record import Training

Runs = Mapping[str, Sequence[tuple[Job, Training]]]
"""By contender, the trainings of all seeds of all of its networks."""

_LEAST_SEEDS = 3


@dataclasses.dataclass(frozen=True)
class Bench:
    """Holds what the trainings are judged by.

    Args:
        folder: The folder of the study.
        tasks: The tasks.
        metrics: By task, the metric.
        rows: The labels of the test rows.
        margin: The smallest gain that counts.
        blocks: The blocks of the test rows, or `None`.
    """

    folder: Path
    tasks: tuple[Task, ...]
    metrics: Mapping[str, WatchedMetric]
    rows: LabeledRows
    margin: Any
    blocks: Any


def judge(runs: Runs, bench: Bench) -> dict[str, Comparison]:
    """Returns the comparison of each contender with the baseline, corrected for all together.

    Contender and baseline are paired by seed; a seed in which a network of one of the two failed
    is left out. A contender without a common seed has no comparison.
    """
    finished = {name: _finished_seeds(of_name) for name, of_name in runs.items()}
    comparisons = {}
    for name in runs:
        seeds = sorted(finished[name] & finished[BASELINE])
        if name == BASELINE or not seeds:
            continue
        comparisons[name] = _compare(runs[BASELINE], runs[name], seeds, bench)
    return correct_jointly(comparisons) if comparisons else {}


def _finished_seeds(runs: Sequence[tuple[Job, Training]]) -> set[int]:
    numbers = {job.number for job, _ in runs}
    return numbers - {job.number for job, training in runs if training.state != "done"}


def _compare(baseline: Any, contender: Any, seeds: Sequence[int], bench: Bench) -> Comparison:
    tasks = [task for task in bench.tasks if task.name in bench.rows.labels]
    by_keras = [task for task in bench.tasks if task.name not in bench.rows.labels]
    models = [_predictions(runs, tasks, seeds, bench) for runs in (baseline, contender)]
    if not by_keras:
        return _by_rows(tasks, models, bench)
    judged: list[tuple[TaskVerdict, Any]] = []  # a row, and its difference in each seed
    if tasks:
        rows = _by_rows(tasks, models, bench).rows
        # The mean gain needs the scores of each seed, and a comparison keeps their mean.
        single = [
            _by_rows(tasks, [_of_seed(values, i) for values in models], bench).rows
            for i in range(len(seeds))
        ]
        differences = np.array([[row.difference for row in of_seed] for of_seed in single])
        judged += zip(rows, differences.T, strict=True)
    for task in by_keras:
        scores = [_scores(runs, task.name, seeds) for runs in (baseline, contender)]
        row = _row_of_seeds(bench.metrics[task.name], scores, bench)
        judged.append((row, scores[1] - scores[0]))
    order = {task.name: place for place, task in enumerate(bench.tasks)}
    judged.sort(key=lambda pair: order[pair[0].task])
    in_order = [row for row, _ in judged]
    by_seed = np.nan_to_num([difference for _, difference in judged])
    return summarize(in_order, np.array(factors_of(in_order)) @ by_seed, None)


def _by_rows(tasks: Sequence[Task], models: Sequence[dict[str, Any]], bench: Bench) -> Comparison:
    names = [task.name for task in tasks]
    num_seeds = len(models[0][names[0]])
    comparison = compare(
        {name: bench.rows.labels[name] for name in names},
        models[0],
        models[1],
        {name: _with_seeds(bench.rows.metrics[name], num_seeds) for name in names},
        margin={name: _margin_of(name, bench) for name in names},
        blocks=bench.blocks,
    )
    columns = {task.name: task.columns for task in tasks}
    rows = []
    for row in comparison.rows:
        of_task = columns[row.task]
        if row.column is not None and of_task is not None:
            row = dataclasses.replace(row, column=of_task[int(row.column)])
        rows.append(row)
    return dataclasses.replace(comparison, rows=tuple(rows))


def _margin_of(task: str, bench: Bench) -> float:
    return float(bench.margin[task] if isinstance(bench.margin, Mapping) else bench.margin)


def _of_seed(models: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {name: values[seed : seed + 1] for name, values in models.items()}


def _row_of_seeds(metric: WatchedMetric, scores: Sequence[Any], bench: Bench) -> TaskVerdict:
    """Returns the row of a task whose metric Keras alone computes: over seeds, not over rows."""
    name = metric.log.removeprefix(f"val_{metric.task}_")
    reason = bench.rows.reasons[metric.task]
    if len(scores[0]) < _LEAST_SEEDS:
        subject = Subject(metric.task, None, name, metric.mode, _margin_of(metric.task, bench))
        note = f"{reason}, and fewer than {_LEAST_SEEDS} seeds have no interval by themselves"
        return untested_row(subject, len(scores[0]), 0, note)
    (row,) = compare_scores(
        *({metric.task: {name: values}} for values in scores),
        directions={name: metric.mode},
        margin=_margin_of(metric.task, bench),
    ).rows
    return dataclasses.replace(row, note=f"rows not resampled: {reason}")


def _with_seeds(metric: Metric, num_seeds: int) -> Metric:
    """Returns a metric whose thresholds of columns, if it has any, are those of each seed."""
    if not isinstance(metric.threshold, tuple):
        return metric
    return dataclasses.replace(metric, threshold=np.tile(metric.threshold, (num_seeds, 1)))


def _predictions(
    runs: Sequence[tuple[Job, Training]], tasks: Sequence[Task], seeds: Sequence[int], bench: Bench
) -> dict[str, Any]:
    """Returns the predictions of all tasks, `[S, n]` or `[S, n, C]`."""
    gathered: dict[str, list[Any]] = {task.name: [] for task in tasks}
    names = set(gathered)
    for seed in seeds:
        for job, _ in runs:
            # A network without any of the tasks has no file.
            if job.number != seed or not names.intersection(job.network.names):
                continue
            with np.load(bench.folder / f"{job.path}.npz") as arrays:
                for task in tasks:
                    if task.name in job.network.names:
                        values = bench.rows.predictions(task, arrays[task.name])
                        gathered[task.name].append(values)
    return {name: np.stack(values) for name, values in gathered.items()}


def _scores(runs: Sequence[tuple[Job, Training]], task: str, seeds: Sequence[int]) -> Any:
    """Returns the scores of a task, `[S]`."""
    return np.array(
        [
            training.scores.get(task, np.nan)
            for seed in seeds
            for job, training in runs
            if job.number == seed and task in job.network.names
        ]
    )
