"""Rows with cells of other rows, and a task that restores what stood there."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._changes._cells import swap_cells
from keras_mtl.data._changes._seeds import map_with_seeds
from keras_mtl.data._elements._numbers import read_number
from keras_mtl.unlabeled._rows._append import append, input_of, masked, replace


def mask_columns(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    name: str = "columns",
    *,
    rate: float = 0.3,
    on: str | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Appends rows with cells of other rows, and labels that say what stood there.

    Behind the rows of each batch stand the same rows with some cells replaced by those of other
    rows (`unlabeled.SwapCells`). They have labels of one more task alone, `Task.regression(name,
    D)` for D columns: the values as they were, with weight 1 for the cells that are different now,
    and 0 for all others. The other tasks see the first half only, as it is.

    Choose it where many columns depend on each other and most rows have no label, most of all to
    train first on it alone, and then on the tasks. On digits with 50 labels and 1,000 rows without
    it gave nothing: .827 after .825, sd .03 (`benchmarks/regimes_unlabeled.py`). Columns should
    have comparable units: scale the inputs, or give the task a `scale`. A step costs twice as much.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`; rows without any label (NaN) are welcome.
        tasks: The tasks that have labels in it.
        name: The name of the new task. Defaults to `"columns"`.
        rate: The probability of a cell to be replaced; above 0, below 1. Defaults to `0.3`.
        on: The name of the table, `[rows, columns]`, where inputs are a dict. Defaults to `None`.
        seed: The seed of the draws, which are other ones in each epoch. Defaults to `0`.

    Returns:
        A dataset of `(x, y, w)` with twice as many rows per batch.

    Raises:
        ValueError: If the table holds whole numbers or texts, which no mean restores, or is none;
            if a task is called `name`, or the rate is out of range.

    Example:
        >>> tasks = [Task.binary("spam")]
        >>> x, y = tf.random.normal((6, 4)), {"spam": [0.0, 1.0, float("nan")] * 2}
        >>> dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
        >>> x, y, w = next(iter(mask_columns(dataset, tasks)))
        >>> x.shape, y["columns"].shape, w["spam"].numpy().tolist()
        (TensorShape([6, 4]), TensorShape([6, 4]), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0])

    Reference:
        Yoon et al. 2020 (VIME), which also predicts which cells were replaced, and has no rows of
        tasks beside. Popular code draws the cells once, before training; here they are drawn anew.
    """
    rate = read_number(rate, "mask_columns: rate is", low=0, high=1, above=True, below=True)
    rows = masked(dataset, tasks, name)
    table = input_of(rows.element_spec[0], on, "mask_columns")
    if table.shape.rank != 2 or not table.dtype.is_floating:
        raise ValueError(
            f"mask_columns needs a batch of rows of real numbers, [rows, columns]; received {table}"
            ". Categories and texts have to be encoded before (data.tabular_encoder), or be given "
            "a task of their own."
        )

    def change(element: Any, draw: tf.Tensor) -> Any:
        values = input_of(element[0], on, "mask_columns")
        changed, differs = swap_cells(values, rate, draw)
        weight = tf.concat([tf.zeros_like(values), tf.cast(differs, values.dtype)], 0)
        label = tf.concat([values, values], 0)
        inputs = replace(element[0], on, changed)
        return append(element, inputs, name, label, tf.cast(weight, tf.float32))

    return map_with_seeds(rows, change, seed)
