"""Whether a contender is better than a baseline, from the predictions of both."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._inputs._choices import choose
from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._verdicts._cells import Cell, cut_cells
from keras_mtl.analysis._verdicts._checks import Untestable
from keras_mtl.analysis._verdicts._measure import Measured, measure
from keras_mtl.analysis._verdicts._read_labels import IntArray, read_blocks, read_labels
from keras_mtl.analysis._verdicts._read_metrics import read_metrics
from keras_mtl.analysis._verdicts._read_predictions import read_predictions
from keras_mtl.analysis._verdicts._resampling import Draws
from keras_mtl.analysis._verdicts._rows import (
    Evidence,
    Subject,
    make_row,
    read_margins,
    untested_row,
)
from keras_mtl.analysis._verdicts._second_tests import TESTS, run_test
from keras_mtl.analysis._verdicts._totals import JointGain, factors_of, summarize


def compare(
    labels: Any,
    baseline: Any,
    contender: Any,
    metrics: Any,
    *,
    margin: float | Mapping[str, float] = 0.0,
    blocks: Any = None,
    test: str | Mapping[str, str] = "interval",
) -> Comparison:
    """Decides for each task whether a contender is better than a baseline, and by how much.

    For the difference D_s of a metric between contender and baseline in seed s, D is the mean over
    the S seeds, and its 95 % interval counts two sources of chance:

        V1 = variance of D_s / S               seeds: another training would give another network
        V2 = variance of D over test rows      rows: another test set would give another score
        D +- t sqrt(V1 + V2)                   t with V^2 / (V1^2 / (S - 1) + V2^2 / f2) degrees of
                                               freedom (Welch, Satterthwaite), f2 = n - 1

    The same rows are resampled for all seeds and both models. The verdict on the gain s D / |B|,
    with the mean B of the baseline and s = 1 for metrics that are better high, -1 for low:

        helped          the interval is above the margin
        hurt            the interval is below -margin
        no difference   the interval is within +-margin, for a margin above 0
        undecided       otherwise

    where helped and hurt also need a corrected p-value of at most .05: by Holm over all rows of the
    table, above 20 rows by Benjamini and Hochberg. The mean gain has an interval of its own, which
    knows that tasks share seeds and test rows.

    Choose it for the test set, once, after all choices are made on validation data: the better of
    several trials on the same data is too good. Take at least 3 paired seeds, better 5: contender
    and baseline share seed s, the split and the order of rows. With one seed the verdict is about
    these two trainings, and says so. Not for metrics alone, without predictions: `compare_scores`.

    Args:
        labels: By task, labels `[n]`, or `[n, C]` for C columns (each becomes a row of the table);
            a dict, or a data frame. All tasks have the same n rows. NaN is a missing label: that
            row is left out for that task. Classes are numbers.
        baseline: By task, predictions `[S, n]`, or `[S, n, C]` for C columns or classes; or a list
            of S dicts by task, as `model.predict` returns them. A dict of one seed may be one such
            dict, without a list.
        contender: Likewise, of the same S seeds.
        metrics: A name, a `Metric`, or a sequence of them; for all tasks, or by task. Names are
            `auc` (exact, by ranks), `pr_auc`, `log_loss`, `brier`, `accuracy`,
            `balanced_accuracy`, `f1`, `mcc`, `macro_auc` and `macro_f1` (the mean over classes, or
            over all columns of a task), `mae`, `mse`, `rmse`, `r2` and `spearman`. Functions and
            thresholds come in a `Metric`. `pr_auc` and `spearman` take seconds per task, all others
            milliseconds. `log_loss` and `brier` need probabilities, and so does the default
            threshold of .5; `auc`, `macro_auc` and `pr_auc` take logits too.
        margin: The smallest gain that counts, as a fraction of the baseline's score, for all tasks
            or by task. Defaults to 0, with which nothing can be "no difference".
        blocks: `[n]`, equal for rows that belong together (a user, a day, an image): whole blocks
            are resampled. Needed wherever rows are not independent.
        test: What the p-value is of. `"interval"` (default): the t-test above. `"permutation"`:
            the outputs of the models are swapped row by row (ranks, for AUC). `"sign flip"`: over
            6 seeds or more; below, its smallest p-value is above .05 after two sides. `"delong"`
            (AUC) and `"mcnemar"` (accuracy): of one seed. For all tasks, or by task. The interval
            stays, and a verdict then needs both.

    Returns:
        A `Comparison`, with one row per task, metric and column. A row without a test is undecided,
        and its note says why: fewer than two labeled rows, or for `auc`, `pr_auc` and `f1` fewer
        than 10 of a class. Fewer than 30 of a class are noted as "few".

    Raises:
        TypeError: If labels, predictions or metrics have a wrong type.
        ValueError: If tasks, shapes, labels or predictions do not fit, or a metric has no
            direction.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(400, 2))
        >>> labels = {"income": (truth[:, 0] > 1).astype(int), "age": truth[:, 1]}
        >>> def predictions(noise):
        ...     noisy = truth + rng.normal(0, noise, (5, 400, 2))
        ...     return {"income": noisy[:, :, 0], "age": noisy[:, :, 1]}
        >>> result = compare(
        ...     labels, predictions(0.6), predictions(0.5), {"income": "auc", "age": "mae"}
        ... )
        >>> print(result.sentence)
        Helped 1 of 2, hurt 0, no difference 0, undecided 1. Mean gain 9 % [6.43, 11.6]: helped.

    Reference:
        DeLong et al. 1988, doi:10.2307/2531595; Sun and Xu 2014, doi:10.1109/LSP.2014.2337313.
        Seeds and rows as sources of variance: Bouthillier et al. 2021, arXiv:2103.03098. V2 of all
        named metrics but `pr_auc` and `spearman` is the closed form of the bootstrap's variance (by
        the influence of each row, within classes for `auc`, `f1`, `balanced_accuracy` and `mcc`),
        which for AUC is DeLong's; functions are resampled in 1,000 draws. Where rows are resampled
        within classes, f2 counts the rows of the classes (Welch) instead of n - 1, since with few
        positives nearly all of the variance is theirs. For two and three seeds, V1^2 counts 8 and 2
        times in the degrees of freedom: the plain formula covers .87 and .92 at worst, this one
        .93 and .94. The interaction of seeds and rows is in both V1 and V2, so that intervals are
        slightly wide. The gain's interval is that of the difference: the baseline counts as known
        there. Papers and popular code often choose the epoch by the test metric, draw the standard
        deviation over seeds as if it were an interval of the mean, or bootstrap three seeds, which
        covers 74 % of the time instead of 95 %.
    """
    tasks = read_labels(labels)
    num_rows = len(next(iter(tasks.values())).values)
    cells = cut_cells(
        tasks,
        read_predictions(baseline, tasks, "baseline"),
        read_predictions(contender, tasks, "contender"),
        read_metrics(metrics, [*tasks]),
    )
    block_of_row = read_blocks(blocks, num_rows)
    settings = _Settings(
        dict(zip(tasks, read_margins(margin, [*tasks]), strict=True)),
        dict(zip(tasks, _read_tests(test, [*tasks]), strict=True)),
        block_of_row,
        Draws(num_rows, block_of_row),
    )
    return _conclude(cells, settings, num_rows)


@dataclasses.dataclass(frozen=True)
class _Settings:
    margins: Mapping[str, float]
    tests: Mapping[str, str]
    blocks: IntArray | None
    draws: Draws


def _read_tests(test: Any, tasks: list[str]) -> Iterable[str]:
    tests = choose(test, tasks, "test")
    for name in tests:
        if name not in TESTS:
            raise ValueError(f"test is {name!r}; expected one of {list(TESTS)}.")
    return tests


def _conclude(cells: Iterator[Cell], settings: _Settings, num_rows: int) -> Comparison:
    # A cell copies the predictions of its labeled rows, so that only one is held at a time.
    results = [(*_judge(cell, settings), cell.rows) for cell in cells]
    rows = [row for row, _, _ in results]
    joint = JointGain(num_rows, rows[0].num_seeds)
    for (_, measured, labeled), factor in zip(results, factors_of(rows), strict=True):
        if factor and measured is not None:
            joint.add(labeled, measured, factor)
    return summarize(rows, joint.gains, joint.over_rows(settings.blocks, settings.draws))


def _judge(cell: Cell, settings: _Settings) -> tuple[TaskVerdict, Measured | None]:
    metric = cell.metric
    subject = Subject(
        cell.task, cell.column, metric.name, metric.mode or "max", settings.margins[cell.task]
    )
    try:
        measured = measure(cell, settings.blocks, settings.draws)
    except Untestable as reason:
        return untested_row(subject, cell.num_seeds, len(cell.rows), str(reason)), None
    evidence = Evidence(
        measured.baseline,
        measured.contender,
        measured.over_rows,
        len(cell.rows),
        measured.chance,
        measured.note,
    )
    row = make_row(subject, evidence)
    test = settings.tests[cell.task]
    if test != "interval" and row.is_tested:
        p, method = run_test(test, cell, measured, settings.blocks)
        row = dataclasses.replace(row, p=p, corrected_p=p, method=method)
    return row, measured
