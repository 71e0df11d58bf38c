"""Tables of two labels that are classes: Cramer's V, mutual information, bounds of phi."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._relations._resampling import draw_counts


def count_cells(
    first: FloatArray, second: FloatArray, blocks: npt.NDArray[np.intp] | None = None
) -> FloatArray:
    """Returns the table of two columns of classes, `[r, c]`, or one per block, `[blocks, r, c]`.

    Rows that miss one of the labels do not count.
    """
    rows = ~np.isnan(first) & ~np.isnan(second)
    shape = [int(np.nanmax(column, initial=0)) + 1 for column in (first, second)]
    cells = first[rows].astype(np.intp) * shape[1] + second[rows].astype(np.intp)
    size = shape[0] * shape[1]
    if blocks is None:
        return np.bincount(cells, minlength=size).reshape(shape).astype(np.float64)
    num_blocks = int(blocks.max()) + 1
    counts = np.bincount(blocks[rows] * size + cells, minlength=num_blocks * size)
    return counts.reshape(num_blocks, *shape).astype(np.float64)


def cramers_v(tables: FloatArray) -> FloatArray:
    """Returns Cramer's V with Bergsma's correction, of tables `[..., r, c]`.

    Empty rows and columns do not count. A table with one row or one column left gives NaN.
    """
    total, num_rows, num_columns = _sizes(tables)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = (num_rows - 1) * (num_columns - 1) / (total - 1)
        fraction = np.maximum(0.0, chi_squared(tables) / total - excess)
        corrected = [count - (count - 1) ** 2 / (total - 1) for count in (num_rows, num_columns)]
        value = np.sqrt(fraction / (np.minimum(*corrected) - 1))
    defined = (np.minimum(num_rows, num_columns) > 1) & np.isfinite(value)
    return np.where(defined, np.minimum(value, 1.0), np.nan)


def chi_squared(tables: FloatArray) -> FloatArray:
    """Returns Pearson's chi-squared without the correction of Yates, of tables `[..., r, c]`."""
    total = tables.sum(axis=(-2, -1))
    expected = tables.sum(axis=-1, keepdims=True) * tables.sum(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(expected > 0, tables**2 / expected, 0.0)
    return np.asarray(total * (shares.sum(axis=(-2, -1)) - 1))


def degrees_of_freedom(tables: FloatArray) -> FloatArray:
    """Returns (r - 1) (c - 1), without empty rows and columns."""
    _, num_rows, num_columns = _sizes(tables)
    return np.asarray((num_rows - 1) * (num_columns - 1))


def information(tables: FloatArray) -> FloatArray:
    """Returns the mutual information in nats, less the bias of Miller and Madow."""
    total, num_rows, num_columns = _sizes(tables)
    expected = tables.sum(axis=-1, keepdims=True) * tables.sum(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = tables * total[..., None, None] / expected
        terms = np.where(tables > 0, tables * np.log(ratio), 0.0)
        plug_in = terms.sum(axis=(-2, -1)) / total
        value = plug_in - (num_rows - 1) * (num_columns - 1) / (2 * total)
    return np.where(np.minimum(num_rows, num_columns) > 1, value, np.nan)


def phi_bounds(table: FloatArray) -> tuple[float, float]:
    """Returns the least and the greatest phi that the rates of two binary labels allow."""
    p, q = table[1].sum() / table.sum(), table[:, 1].sum() / table.sum()
    spread = np.sqrt(p * (1 - p) * q * (1 - q))
    return float((max(0.0, p + q - 1) - p * q) / spread), float((min(p, q) - p * q) / spread)


def resample(
    table: FloatArray,
    by_block: FloatArray | None,
    measure: Callable[[FloatArray], FloatArray],
    draws: tuple[int, int, int],
) -> FloatArray:
    """Returns a measure of resampled tables, `[resamples]`.

    Args:
        table: The table, `[r, c]`.
        by_block: One table per block, `[blocks, r, c]`, if blocks are drawn; rows otherwise.
        measure: The measure.
        draws: The number of all rows, the number of resamples, and the seed.
    """
    num_rows, resamples, seed = draws
    if by_block is not None:
        flat = by_block.reshape(len(by_block), -1)
        tables = [counts @ flat for counts in draw_counts(len(flat), resamples, seed)]
        return measure(np.reshape(tables, (resamples, *table.shape)))
    # Rows drawn with replacement: the cells are multinomial, and so are the rows with a label
    # missing, which are the last cell.
    shares = np.append(table.ravel(), num_rows - table.sum()) / num_rows
    counts = np.random.default_rng(seed).multinomial(num_rows, shares, size=resamples)
    return measure(counts[:, :-1].reshape(resamples, *table.shape).astype(np.float64))


def _sizes(tables: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns the total, and the numbers of rows and columns that are not empty."""
    num_rows = np.sum(tables.sum(axis=-1) > 0, axis=-1)
    num_columns = np.sum(tables.sum(axis=-2) > 0, axis=-1)
    return np.asarray(tables.sum(axis=(-2, -1))), np.asarray(num_rows), np.asarray(num_columns)
