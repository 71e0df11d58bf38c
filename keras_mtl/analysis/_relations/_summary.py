"""From columns to tasks: values, intervals, corrected p-values, and reasons."""

import numpy as np
import numpy.typing as npt
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relations._columns import Columns


def by_task(values: FloatArray, columns: Columns) -> FloatArray:
    """Returns the relations of tasks, `[K, K]`, from those of columns, `[C, C]`.

    Two tasks with one column each have the relation of these; otherwise, it is the mean of the
    absolute values of all pairs of columns that have a relation.
    """
    single = _are_single(columns)
    if single.all():
        return values
    owned = _ownership(columns)
    present = ~np.isnan(values)
    total = owned @ np.where(present, np.abs(values), 0.0) @ owned.T
    with np.errstate(invalid="ignore"):
        result = total / (owned @ present @ owned.T)
    places = np.flatnonzero(single[columns.owners])
    tasks = columns.owners[places]
    result[np.ix_(tasks, tasks)] = values[np.ix_(places, places)]
    return np.asarray(result)


def p_by_task(p_values: FloatArray, columns: Columns) -> FloatArray:
    """Returns the p-values of tasks: the smallest one, times the number of pairs of columns."""
    if _are_single(columns).all():
        return p_values
    owned = _ownership(columns)
    pairs = owned @ ~np.isnan(p_values) @ owned.T
    result = np.full(pairs.shape, np.inf)
    np.minimum.at(
        result,
        (columns.owners[:, None], columns.owners[None, :]),
        np.nan_to_num(p_values, nan=np.inf),
    )
    return np.where(pairs > 0, np.minimum(result * np.maximum(pairs, 1), 1.0), np.nan)


def correct(p_values: FloatArray) -> FloatArray:
    """Returns the p-values of all pairs, corrected by Benjamini and Hochberg, `[K, K]`."""
    result = np.full(p_values.shape, np.nan)
    first, second = np.triu_indices(len(p_values), 1)
    pairs = p_values[first, second]
    tested = ~np.isnan(pairs)
    if tested.any():
        corrected = scipy.stats.false_discovery_control(pairs[tested], method="bh")
        result[first[tested], second[tested]] = corrected
        result[second[tested], first[tested]] = corrected
    return result


def percentile_interval(samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns both ends of 95 % intervals from resamples `[resamples, K, K]`."""
    # Resamples in which a label is constant have no relation, and do not count.
    some = np.isfinite(samples).any(axis=0)
    filled = np.where(some, samples, 0.0)
    quantile = np.nanquantile if np.isnan(filled).any() else np.quantile
    lower, upper = quantile(filled, [0.025, 0.975], axis=0)
    return np.where(some, lower, np.nan), np.where(some, upper, np.nan)


def fisher_interval(
    values: FloatArray, counts: FloatArray, *, ranks: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Returns both ends of 95 % intervals by Fisher's z.

    For ranks, the variance is (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        center = np.arctanh(values)
        factor = 1 + values**2 / 2 if ranks else 1.0
        width = scipy.stats.norm.ppf(0.975) * np.sqrt(factor / (counts - 3))
        lower, upper = np.tanh(center - width), np.tanh(center + width)
    return np.where(counts > 3, lower, np.nan), np.where(counts > 3, upper, np.nan)


def p_of_samples(values: FloatArray, samples: FloatArray) -> FloatArray:
    """Returns p-values of correlations from the spread of resamples, on the scale of Fisher's z."""
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.std(np.arctanh(np.clip(samples, -1 + 1e-12, 1 - 1e-12)), axis=0, ddof=1)
        statistic = np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12)) / spread
    return np.asarray(2 * scipy.stats.norm.sf(np.abs(statistic)))


def find_strongest(
    values: FloatArray, columns: Columns
) -> dict[tuple[str, str], tuple[float, str, str]]:
    """Returns the strongest relation of two columns for each pair of tasks with several."""
    single = _are_single(columns)
    strongest: dict[tuple[str, str], tuple[float, str, str]] = {}
    if single.all():
        return strongest
    for first in range(len(columns.tasks)):
        for second in range(first + 1, len(columns.tasks)):
            if single[first] and single[second]:
                continue
            first_columns = np.flatnonzero(columns.owners == first)
            second_columns = np.flatnonzero(columns.owners == second)
            block = values[np.ix_(first_columns, second_columns)]
            if np.isnan(block).all():
                continue
            row, column = np.unravel_index(np.nanargmax(np.abs(block)), block.shape)
            strongest[columns.tasks[first], columns.tasks[second]] = (
                float(block[row, column]),
                columns.names[first_columns[row]],
                columns.names[second_columns[column]],
            )
    return strongest


def count_joint_rows(columns: Columns) -> tuple[FloatArray, FloatArray]:
    """Returns the numbers of rows with both labels, of columns `[C, C]` and of tasks `[K, K]`."""
    present = (~np.isnan(columns.values)).astype(np.float64)
    labeled = (present @ _ownership(columns).T > 0).astype(np.float64)
    return present.T @ present, labeled.T @ labeled


def _ownership(columns: Columns) -> FloatArray:
    """Returns 1 where a task owns a column, `[K, C]`."""
    owned = columns.owners == np.arange(len(columns.tasks))[:, None]
    return np.asarray(owned, np.float64)


def _are_single(columns: Columns) -> npt.NDArray[np.bool_]:
    """Returns which tasks have one column, `[K]`."""
    return np.asarray(np.bincount(columns.owners, minlength=len(columns.tasks)) == 1)
