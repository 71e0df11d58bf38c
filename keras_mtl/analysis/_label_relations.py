"""How far the labels of the tasks go together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relation import Relation
from keras_mtl.analysis._relations._columns import Columns, read_columns
from keras_mtl.analysis._relations._estimates import (
    CELL_MEASURES,
    ROW_MEASURES,
    Estimate,
    Settings,
    estimate_cells,
    estimate_phi,
    estimate_rows,
)
from keras_mtl.analysis._relations._patterns import MissingPattern, count_patterns
from keras_mtl.analysis._relations._resampling import read_blocks
from keras_mtl.analysis._relations._summary import (
    by_task,
    correct,
    count_joint_rows,
    find_strongest,
    fisher_interval,
    p_by_task,
    p_of_samples,
    percentile_interval,
)

_MEASURES = (*ROW_MEASURES, "phi", *CELL_MEASURES)
_EXCLUDED = {
    **dict.fromkeys(ROW_MEASURES, (("classes",), "classes have no order")),
    "cramers_v": (("numeric",), "numbers are no classes"),
    "phi": (("numeric", "classes"), "only binary labels have phi"),
}
"""The kinds of labels that have no such relation, and why."""

_MANY_TASKS = 50
_MAX_NUMBERS = 2e8  # of resamples and pairs, which are kept: 1.6 GB


@dataclasses.dataclass(frozen=True)
class LabelRelations:
    """Holds the relations of labels: one `Relation` for each measure, by `relations[measure]`.

    Args:
        tasks: The names of the tasks.
        kinds: The kind of each task: "numeric", "binary" or "classes".
        rows: The number of rows.
        relations: The relations, by measure.
        patterns: Which tasks are labeled together, in how many rows, the most frequent first.

    Example:
        >>> labels = {"click": [0, 1, 1, 0, 1], "buy": [0, 1, 0, 0, 1]}
        >>> relations = label_relations(labels, min_rows=3, resamples=0)
        >>> relations["phi"].values.round(3)
        array([[1.   , 0.667],
               [0.667, 1.   ]])
    """

    tasks: tuple[str, ...]
    kinds: dict[str, str]
    rows: int
    relations: dict[str, Relation]
    patterns: tuple[MissingPattern, ...]

    def __getitem__(self, measure: str) -> Relation:
        if measure not in self.relations:
            raise KeyError(f"{measure!r} was not computed; expected one of {list(self.relations)}.")
        return self.relations[measure]

    def __str__(self) -> str:
        tables = [
            str(relation)
            for relation in self.relations.values()
            if not np.isnan(relation.values[np.triu_indices(len(self.tasks), 1)]).all()
        ]
        kinds = ", ".join(f"{task} ({kind})" for task, kind in list(self.kinds.items())[:10])
        more = ", ..." if len(self.kinds) > 10 else ""
        return "\n\n".join([f"{self.rows} rows: {kinds}{more}", *tables])


def label_relations(
    labels: Any,
    *,
    kinds: Mapping[str, str] | None = None,
    blocks: Any = None,
    measures: Sequence[str] | None = None,
    resamples: int | None = None,
    min_rows: int = 10,
    seed: int = 0,
) -> LabelRelations:
    """Computes how far the labels of the tasks go together, for each pair of tasks.

    Every relation comes from the rows where both labels are present; missing labels are never
    filled. With n rows, chi^2 without Yates' correction, and r and c classes:

    - `"pearson"`: correlation, `"spearman"`: correlation of mid-ranks among these rows, and
      `"covariance"`. For numbers and binary labels.
    - `"phi"`: Pearson's correlation of binary labels, with the bounds that their rates p and q set:
      (max(0, p + q - 1) - pq) / sqrt(p (1 - p) q (1 - q)) and (min(p, q) - pq) / sqrt(...).
    - `"cramers_v"`, with Bergsma's correction of the bias: V = sqrt(f / min(r' - 1, c' - 1)) with
      f = max(0, chi^2 / n - (r - 1)(c - 1) / (n - 1)), r' = r - (r - 1)^2 / (n - 1), c' likewise.
      For classes and binary labels.
    - `"mutual_information"`, in nats: of classes less the bias (r - 1)(c - 1) / (2 n), of numbers
      by Kraskov et al., of a number and a class by Ross, with three neighbors and at most 20,000
      rows. It sees relations that are not monotonous: for x and x^2, Pearson is near 0. It may be
      slightly negative, which says "none".

    Choose it before training, to know the data: which labels are nearly the same, which are never
    there together (`patterns`), and which groups are candidates (`Relation.groups`). Do not take it
    for evidence that tasks should share a network: related labels may need different features, and
    y and -y, with correlation -1, are one task to the trunk. If labels are not missing at random,
    the rows with both are another population than all rows.

    A matrix of relations from pairwise complete rows need not be positive semi-definite: clip
    negative eigenvalues before any use of its spectrum.

    Intervals (95 %) are percentiles of 1,000 resamples of the rows. They are missing for mutual
    information with numbers, whose estimators fail on rows that come twice. Without resamples,
    those of Pearson and Spearman come from Fisher's z, and others are missing. So do Spearman's if
    ranks of resamples would take minutes: many rows, and labels that are missing in many different
    rows, but no blocks. p-values, of the t
    test and of chi^2, are corrected over all pairs. With blocks, they come from the resamples, and
    are missing for classes.

    Args:
        labels: A dict of labels by task, `[rows]`, or `[rows, columns]` for a task with several; or
            a data frame with a column for each task. NaN, None and NA are missing labels. Text is
            classes. The relation of tasks with several columns is the mean of the absolute values
            of all pairs of columns, and `Relation.strongest` names the strongest pair. For the
            relations among the columns of one task, pass them as tasks.
        kinds: The kind of a task by its name: "numeric", "binary" or "classes". By default, text is
            "classes", labels of 0 and 1 are "binary", and all others "numeric". Pass "classes" for
            classes with numbers, which would otherwise count as quantities.
        blocks: For each row, the unit, group or day that it belongs to, if rows of one block are
            alike. Whole blocks are resampled.
        measures: Names from the list above; all by default. Above 50 tasks, the default leaves
            mutual information out, which takes some 10 ms per pair.
        resamples: The number of resamples; 1,000 by default, and 0 above 50 tasks.
        min_rows: The least number of joint rows; with fewer, a relation is missing.
        seed: Seeds resamples and estimators.

    Returns:
        A `LabelRelations`.

    Raises:
        TypeError: If labels are no dict and no frame, or are dates or complex numbers.
        ValueError: If tasks differ in their rows, a label is infinite, a name or kind does not fit,
            or the resamples would not fit into memory.

    Example:
        >>> labels = {
        ...     "views": [1, 2, 3, 4, 5, 6, None, 8],
        ...     "age": [2, 1, 4, 3, None, 6, 7, 8],
        ... }
        >>> print(label_relations(labels, measures=["pearson"], min_rows=5, resamples=0))
        8 rows: views (numeric), age (numeric)
        <BLANKLINE>
        pair        pearson   95 % interval  rows       p
        views, age    0.941  0.549 to 0.994     6  0.0051

    Reference:
        Bergsma 2013, "A bias-correction for Cramer's V and Tschuprow's T". Kraskov et al. 2004,
        arXiv:cond-mat/0305641. Ross 2014, "Mutual Information between Discrete and Continuous Data
        Sets". SciPy's `association` is the plain V, which is 0.25 on average for independent
        classes with 60 rows and 5 by 4 cells; ours is 0.06.
    """
    columns = read_columns(labels, kinds)
    settings = _read_settings(columns, blocks, resamples, min_rows, seed)
    names = _read_measures(measures, len(columns.tasks))
    estimates: dict[str, Estimate] = {}
    row_measures = [name for name in ROW_MEASURES if name in names]
    if "phi" in names and "pearson" not in row_measures:
        row_measures.append("pearson")
    if row_measures:
        estimates.update(estimate_rows(columns, row_measures, settings))
    if "phi" in names:
        estimates["phi"] = estimate_phi(columns, estimates["pearson"], settings)
    for name in set(CELL_MEASURES) & set(names):
        estimates[name] = estimate_cells(columns, name, settings)
    counts = count_joint_rows(columns)
    return LabelRelations(
        columns.tasks,
        dict(zip(columns.tasks, columns.kinds, strict=True)),
        len(columns.values),
        {
            name: _relate(name, estimates[name], columns, counts, settings)
            for name in _MEASURES
            if name in names
        },
        count_patterns(columns),
    )


def _read_settings(
    columns: Columns, blocks: Any, resamples: int | None, min_rows: int, seed: int
) -> Settings:
    num_tasks = len(columns.tasks)
    if resamples is None:
        resamples = 1000 if num_tasks <= _MANY_TASKS else 0
    if resamples < 0 or min_rows < 2:
        raise ValueError(
            f"resamples is {resamples} and min_rows {min_rows}; expected at least 0 and 2."
        )
    if resamples * num_tasks**2 > _MAX_NUMBERS:
        raise ValueError(
            f"{resamples} resamples of {num_tasks} tasks do not fit into memory; expected at most "
            f"{int(_MAX_NUMBERS // num_tasks**2)}. Pass resamples=0 for intervals by Fisher's z."
        )
    return Settings(read_blocks(blocks, len(columns.values)), resamples, min_rows, seed)


def _read_measures(measures: Sequence[str] | None, num_tasks: int) -> Sequence[str]:
    if measures is None:
        return _MEASURES if num_tasks <= _MANY_TASKS else _MEASURES[:-1]
    unknown = [name for name in measures if name not in _MEASURES]
    if isinstance(measures, str) or unknown or not measures:
        raise ValueError(f"measures is {measures!r}; expected a list from {list(_MEASURES)}.")
    return measures


def _relate(
    name: str,
    estimate: Estimate,
    columns: Columns,
    counts: tuple[FloatArray, FloatArray],
    settings: Settings,
) -> Relation:
    """Returns the relation of tasks from the estimates of columns."""
    enough = counts[0] >= settings.min_rows
    by_column = np.where(enough, estimate.values, np.nan)
    values = by_task(by_column, columns)
    lower, upper = _intervals(name, estimate, values, counts[1], columns, settings)
    p_values = p_by_task(np.where(enough, estimate.p_values, np.nan), columns)
    if settings.blocks is not None:
        p_values = np.full(values.shape, np.nan)
        if settings.resamples and name in ("pearson", "phi", "spearman"):
            p_values = p_of_samples(values, estimate.samples)
    missing = np.isnan(values)
    reasons = _explain(name, missing, columns, counts[1], settings)
    diagonal = np.arange(len(values))
    if name == "mutual_information":
        values[diagonal, diagonal] = np.nan
    elif name != "covariance":
        values[diagonal, diagonal] = np.where(_is_defined(name, columns, settings), 1.0, np.nan)
    return Relation(
        name,
        columns.tasks,
        values,
        counts[1],
        np.where(missing, np.nan, lower),
        np.where(missing, np.nan, upper),
        correct(np.where(missing, np.nan, p_values)),
        reasons,
        _bound(estimate.least, columns),
        _bound(estimate.greatest, columns),
        find_strongest(by_column, columns),
    )


def _bound(bounds: FloatArray, columns: Columns) -> FloatArray:
    """Returns the bounds of phi for tasks with one column; a mean of several phi has none."""
    single = np.bincount(columns.owners) == 1
    return np.where(single & single[:, None], by_task(bounds, columns), np.nan)


def _intervals(
    name: str,
    estimate: Estimate,
    values: FloatArray,
    counts: FloatArray,
    columns: Columns,
    settings: Settings,
) -> tuple[FloatArray, FloatArray]:
    if len(estimate.samples):
        return percentile_interval(estimate.samples)
    lower = upper = np.full(values.shape, np.nan)
    if name in ("pearson", "phi", "spearman") and settings.blocks is None:
        lower, upper = fisher_interval(values, counts, ranks=name == "spearman")
        # Means of absolute values have no such interval.
        several = np.bincount(columns.owners) > 1
        lower[several | several[:, None]] = upper[several | several[:, None]] = np.nan
    return lower, upper


def _is_defined(name: str, columns: Columns, settings: Settings) -> npt.NDArray[np.bool_]:
    """Returns which tasks have a relation with themselves: enough labels, two of them different."""
    kinds = {"cramers_v": ("binary", "classes"), "phi": ("binary",)}.get(
        name, ("numeric", "binary")
    )
    defined = np.zeros(len(columns.tasks), bool)
    for column, owner in zip(columns.values.T, columns.owners, strict=True):
        labels = column[~np.isnan(column)]
        if columns.kinds[owner] in kinds and len(labels) >= settings.min_rows:
            defined[owner] |= labels.min() < labels.max()
    return defined


def _explain(
    name: str,
    missing: npt.NDArray[np.bool_],
    columns: Columns,
    counts: FloatArray,
    settings: Settings,
) -> npt.NDArray[np.object_]:
    """Returns why each relation is missing, `[K, K]`."""
    reasons = np.full(
        missing.shape, "a label is constant in the joint rows, or has too few", object
    )
    for first, second in zip(*np.nonzero(counts < settings.min_rows), strict=True):
        reasons[first, second] = (
            f"{counts[first, second]:.0f} joint rows, fewer than {settings.min_rows}"
        )
    excluded, text = _EXCLUDED.get(name, ((), ""))
    unfit = np.isin(columns.kinds, excluded)
    reasons[unfit | unfit[:, None]] = text
    reasons[~missing] = ""
    return reasons
