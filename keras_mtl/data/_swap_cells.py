"""Random changes of tables: cells of other rows."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_mtl.data._changes._cells import swap_cells as swap
from keras_mtl.data._changes._check import changed_input, check_batched, named_input
from keras_mtl.data._changes._seeds import map_with_seeds
from keras_mtl.data._elements._element import read_specs
from keras_mtl.data._elements._numbers import read_number


def swap_cells(
    dataset: tf.data.Dataset, *, rate: float = 0.1, key: str | None = None, seed: int = 0
) -> tf.data.Dataset:
    """Replaces cells of tables at random by those of other rows of the same column.

    Each cell gets, with probability `rate`, the value that another row of the batch (or the same
    one) has in this column, so that columns keep their distributions, whether they hold numbers,
    categories or texts. Labels stay as they are.

    Choose it for training data only, after `.batch()`, where a table has many columns that say the
    same, so that one of them does not decide. Do not choose it where one column decides: rows would
    have wrong labels. `unlabeled.SwapCells` is the same as a layer.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`.
        rate: The probability of a cell to be replaced, below 1. Defaults to `0.1`.
        key: The input that is changed, where inputs are a dict. Defaults to `None`: the only input,
            or all columns of a dict.
        seed: The seed of the draws, which are other ones in each epoch. Defaults to `0`.

    Returns:
        The dataset with other inputs, of the same cardinality.

    Raises:
        TypeError: If an input is no table `(batch, columns)` and no column `(batch,)`.
        ValueError: If the rate is out of range, rows are not batched, or `key` names no input.

    Example:
        >>> x, y = {"age": [30.0, 40.0, 50.0], "city": ["a", "b", "c"]}, {"spam": [0.0, 1.0, 0.0]}
        >>> dataset = tf.data.Dataset.from_tensors((x, y))
        >>> x, y = next(iter(swap_cells(dataset, rate=0.5)))
        >>> set(x["city"].numpy().tolist()) <= {b"a", b"b", b"c"}
        True

    Reference:
        Bahri et al. 2022 (SCARF), arXiv:2106.15147, for its views of a row.
    """
    rate = read_number(rate, "swap_cells: rate is", low=0, high=1, below=True)
    element = read_specs(dataset)
    # Of a single row, the cells would be taken for those of a column, and swapped.
    check_batched(element, "swap_cells")
    inputs = element.inputs
    specs = inputs if key is None else named_input(inputs, key, "swap_cells")
    for spec in tf.nest.flatten(specs):
        if not isinstance(spec, tf.TensorSpec) or spec.shape.rank not in (1, 2):
            raise TypeError(
                "swap_cells needs batches of tables (batch, columns) or columns (batch,); received "
                f"{spec}. Name the table by key."
            )

    def change(element: Any, draw: tf.Tensor) -> Any:
        x = element[0]
        before = x if key is None else named_input(x, key, "swap_cells")
        if isinstance(before, Mapping):
            # Each column with draws of its own.
            after: Any = {
                name: swap(values, rate, draw + 2 * i)[0]
                for i, (name, values) in enumerate(sorted(before.items()))
            }
        else:
            after = swap(before, rate, draw)[0]
        return (changed_input(x, key, after), *element[1:])

    return map_with_seeds(dataset, change, seed)
