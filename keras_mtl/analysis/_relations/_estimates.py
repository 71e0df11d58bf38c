"""Measures of all pairs of columns, and of resamples of the rows."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relations._columns import Columns
from keras_mtl.analysis._relations._contingency import (
    chi_squared,
    count_cells,
    cramers_v,
    degrees_of_freedom,
    information,
    phi_bounds,
    resample,
)
from keras_mtl.analysis._relations._information import estimate_information
from keras_mtl.analysis._relations._moments import Moments
from keras_mtl.analysis._relations._ranks import Ranks
from keras_mtl.analysis._relations._resampling import draw_row_counts
from keras_mtl.analysis._relations._summary import by_task

ROW_MEASURES = ("pearson", "spearman", "covariance")
CELL_MEASURES = ("cramers_v", "mutual_information")
_MAX_RANKS = 300_000  # per resample: some 10 s for 1,000 of them


@dataclasses.dataclass(frozen=True)
class Settings:
    """Holds how relations are estimated.

    Args:
        blocks: The number of the block of each row, `[rows]`, or `None`.
        resamples: The number of resamples.
        min_rows: The least number of joint rows.
        seed: Seeds resamples, and the estimators of mutual information.
    """

    blocks: npt.NDArray[np.intp] | None
    resamples: int
    min_rows: int
    seed: int


@dataclasses.dataclass
class Estimate:
    """Holds a measure of all pairs of columns.

    Args:
        values: The measure, `[C, C]`.
        p_values: For "no relation", `[C, C]`.
        samples: The measure by task, in each resample, `[resamples, K, K]`, or empty.
        least: The least phi that two rates allow, `[C, C]`.
        greatest: The greatest phi.
    """

    values: FloatArray
    p_values: FloatArray
    samples: FloatArray
    least: FloatArray
    greatest: FloatArray

    @classmethod
    def empty(cls, num_columns: int, num_tasks: int, resamples: int) -> "Estimate":
        """Returns an estimate of which everything is missing."""
        values, p_values, least, greatest = np.full((4, num_columns, num_columns), np.nan)
        samples = np.full((resamples, num_tasks, num_tasks), np.nan)
        return cls(values, p_values, samples, least, greatest)


def estimate_rows(
    columns: Columns, measures: Sequence[str], settings: Settings
) -> dict[str, Estimate]:
    """Returns Pearson, Spearman and covariance of all columns that have an order."""
    chosen = columns.of_kinds("numeric", "binary")
    labels = columns.values[:, chosen]
    moments = Moments.of(labels)
    ranks = Ranks.of(labels) if "spearman" in measures else None
    num_columns, num_tasks = len(columns.owners), len(columns.tasks)
    estimates = {
        name: Estimate.empty(num_columns, num_tasks, settings.resamples) for name in measures
    }

    def compare(counts: FloatArray | None) -> dict[str, FloatArray]:
        rows, covariances, correlations = moments.compare(counts)
        result = {"rows": rows, "pearson": correlations, "covariance": covariances}
        if ranks is not None:
            result["spearman"] = ranks.compare(counts)
        return result

    result = compare(None)
    for name, estimate in estimates.items():
        estimate.values[np.ix_(chosen, chosen)] = result[name]
        tested = result["pearson"] if name == "covariance" else result[name]
        estimate.p_values[np.ix_(chosen, chosen)] = _test(tested, result["rows"])
    if ranks is not None and settings.blocks is None and ranks.cost > _MAX_RANKS:
        ranks = None
        estimates["spearman"].samples = np.zeros((0, num_tasks, num_tasks))
    draws = draw_row_counts(len(labels), settings.blocks, settings.resamples, settings.seed)
    for index, counts in enumerate(draws):
        result = compare(counts)
        for name, estimate in estimates.items():
            if name not in result:
                continue
            sample = np.full((num_columns, num_columns), np.nan)
            sample[np.ix_(chosen, chosen)] = result[name]
            estimate.samples[index] = by_task(sample, columns)
    return estimates


def _test(correlations: FloatArray, rows: FloatArray) -> FloatArray:
    """Returns the p-values of the t test of a correlation of 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = correlations * np.sqrt((rows - 2) / (1 - correlations**2))
        p_values = 2 * scipy.stats.t.sf(np.abs(statistic), rows - 2)
    return np.where(rows > 2, p_values, np.nan)


def estimate_cells(columns: Columns, measure: str, settings: Settings) -> Estimate:
    """Returns Cramer's V or mutual information of all pairs of columns that allow it."""
    num_columns, num_tasks = len(columns.owners), len(columns.tasks)
    estimate = Estimate.empty(num_columns, num_tasks, settings.resamples)
    nominal = set(columns.of_kinds("binary", "classes").tolist())
    samples = {}
    for first, second in _list_pairs(columns):
        if {first, second} <= nominal:
            values = _estimate_classes(columns, (first, second), measure, settings)
            estimate.p_values[first, second] = estimate.p_values[second, first] = values[1]
            samples[first, second] = values[2]
            value = values[0]
        elif measure == "mutual_information":
            value = _estimate_numbers(columns, (first, second), settings)
        else:
            continue
        estimate.values[first, second] = estimate.values[second, first] = value
    for index in range(settings.resamples):
        sample = np.full((num_columns, num_columns), np.nan)
        for (first, second), draws in samples.items():
            sample[first, second] = sample[second, first] = draws[index]
        estimate.samples[index] = by_task(sample, columns)
    return estimate


def _list_pairs(columns: Columns) -> list[tuple[int, int]]:
    """Returns all pairs of columns of different tasks, in the order of their names.

    The order of the tasks must not matter, neither for draws nor for the noise of estimators.
    """
    names = [columns.tasks[owner] for owner in columns.owners]
    order = sorted(range(len(names)), key=lambda index: (names[index], index))
    return [
        (first, second)
        for position, first in enumerate(order)
        for second in order[position + 1 :]
        if names[first] != names[second]
    ]


def _estimate_classes(
    columns: Columns, pair: tuple[int, int], measure: str, settings: Settings
) -> tuple[float, float, FloatArray]:
    """Returns the measure of two classes, its p-value, and its resamples."""
    first, second = columns.values[:, pair[0]], columns.values[:, pair[1]]
    table = count_cells(first, second)
    if table.sum() < max(settings.min_rows, 2):
        return np.nan, np.nan, np.full(settings.resamples, np.nan)
    functions: dict[str, Callable[[FloatArray], FloatArray]] = {
        "cramers_v": cramers_v,
        "mutual_information": information,
    }
    compute = functions[measure]
    freedom = degrees_of_freedom(table)
    p_value = float(scipy.stats.chi2.sf(chi_squared(table), freedom)) if freedom > 0 else np.nan
    draws = np.zeros(0)
    if settings.resamples:
        by_block = None
        if settings.blocks is not None:
            by_block = count_cells(first, second, settings.blocks)
        draws = resample(table, by_block, compute, (len(first), settings.resamples, settings.seed))
    # A test of rows is too optimistic where the rows of a block are alike.
    p_value = p_value if settings.blocks is None else np.nan
    return float(compute(table)), p_value, draws


def _estimate_numbers(columns: Columns, pair: tuple[int, int], settings: Settings) -> float:
    """Returns the mutual information of a number with a number or a class."""
    first, second = columns.values[:, pair[0]], columns.values[:, pair[1]]
    kinds = [columns.kinds[columns.owners[index]] for index in pair]
    joint = ~np.isnan(first) & ~np.isnan(second)
    if joint.sum() < max(settings.min_rows, 5):
        return np.nan
    if np.ptp(first[joint]) == 0 or np.ptp(second[joint]) == 0:
        return np.nan
    if kinds[0] != "numeric":
        first, second, kinds = second, first, kinds[::-1]
    is_class = kinds[1] != "numeric"
    return estimate_information(first, second, is_class=is_class, seed=settings.seed)


def estimate_phi(columns: Columns, pearson: Estimate, settings: Settings) -> Estimate:
    """Returns Pearson's correlation of binary labels, with the bounds that their rates set."""
    chosen = columns.of_kinds("binary")
    phi = Estimate.empty(len(columns.owners), len(columns.tasks), 0)
    inner = np.ix_(chosen, chosen)
    phi.values[inner], phi.p_values[inner] = pearson.values[inner], pearson.p_values[inner]
    phi.samples = pearson.samples
    for position, first in enumerate(chosen):
        for second in chosen[position + 1 :]:
            if not np.isnan(phi.values[first, second]):
                table = count_cells(columns.values[:, first], columns.values[:, second])
                least, greatest = phi_bounds(table)
                phi.least[first, second] = phi.least[second, first] = least
                phi.greatest[first, second] = phi.greatest[second, first] = greatest
    return phi
