"""Matrices of tasks by tasks as pictures with their numbers."""

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._reporting._page import Picture, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._reporting._read_tables import to_file_name

_MOST_COLUMNS = 16
_DIRECTED = ("affinity", "benefit", "marginal", "transfer")


def picture_of_matrix(
    title: str, tasks: tuple[str, ...], values: FloatArray, *tables: Table
) -> Picture:
    """Returns a heat map with its numbers.

    Args:
        title: What the values are. "affinity", "benefit", "marginal" and "transfer" say that rows
            and columns differ.
        tasks: The names of the K tasks.
        values: `[K, K]`.
        tables: The numbers; by default, those of the matrix.
    """
    directed = any(word in title.lower() for word in _DIRECTED)
    figure = figures.matrix(values, tasks, measure=title, directed=directed)
    sentence = (
        f"{title[:1].upper()}{title[1:]}: one cell for each pair of tasks; similar tasks are "
    )
    sentence += "side by side."
    if np.isnan(values).any():
        sentence += " Hatched cells have no value."
    if directed:
        sentence += " Rows are the tasks that help or harm, columns those that they help or harm."
    tables = tables or (_table_of_matrix(title, tasks, values),)
    return make_picture(figure, f"{title} of {len(tasks)} tasks as a heat map", sentence, *tables)


def _table_of_matrix(title: str, tasks: tuple[str, ...], values: FloatArray) -> Table:
    name = f"relations_{to_file_name(title)}"
    if len(tasks) <= _MOST_COLUMNS:
        rows = [
            {"task": task, **dict(zip(tasks, row, strict=True))}
            for task, row in zip(tasks, values.tolist(), strict=True)
        ]
        return make_table(name, title, rows)
    array = np.where(np.eye(len(tasks), dtype=bool), np.nan, values)
    order = np.argsort(-np.abs(array), axis=None, kind="stable")[: len(tasks) * (len(tasks) - 1)]
    pairs = zip(*np.unravel_index(order, array.shape), strict=True)
    records = [
        {"task": tasks[row], "other task": tasks[column], "value": float(array[row, column])}
        for row, column in pairs
    ]
    return make_table(name, f"{title}, the strongest pairs first", records)
