"""A dataset of the rows of a data frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._numbers import read_whole
from keras_mtl.data._mask_missing import mask_missing
from keras_mtl.data._tables._frames import Columns, is_table, read_table
from keras_mtl.data._tables._match_columns import match_columns


def from_table(
    table: Mapping[str, Any] | Any,
    tasks: Sequence[Task] = (),
    *,
    batch_size: int | None = None,
    encoder: keras.Model | None = None,
) -> tf.data.Dataset:
    """Makes a dataset of the rows of a data frame, or of a dict of arrays.

    The columns that are named as a task, or as one of a task's `columns`, are labels, all others
    inputs. Missing labels get weight 0. Missing inputs are NaN in numbers and empty in strings,
    for `tabular_encoder` to fill; dates are days since 1970-01-01 in UTC.

    Choose it for tables that fit into memory. A table that is a dataset already, with labels apart
    from inputs, needs it not.

    Args:
        table: A frame of pandas or polars (neither is imported here), or a dict of arrays.
        tasks: The tasks whose labels the table holds, in columns of their names; of
            `Task.survival("relapse", ...)` in `relapse_time` and `relapse_event`. A class is a
            number; names of classes are to be numbered before (`frame["kind"].cat.codes`, in which
            -1 is missing). Defaults to no labels, for rows to be predicted.
        batch_size: Rows per batch. Defaults to single rows, to be shuffled and batched.
        encoder: A `tabular_encoder`, or the served model with one before it, for which the rows
            are: the dataset then has its columns alone, in its dtypes, also where a column has no
            value in this table. Give it for rows to be predicted. Defaults to the table's own
            columns and dtypes.

    Returns:
        A dataset of `(columns, labels, weights)`, dicts by column and by task; without tasks, of
        dicts of columns.

    Raises:
        TypeError: If the table is none, or a column holds neither numbers nor strings nor dates.
        ValueError: If the table has no rows, lacks the labels of a task or a column that the
            encoder takes, or holds strings as labels. The message names the column or the task.

    Example:
        >>> from keras_mtl.data import tabular_encoder
        >>> table = {"age": [20.0, 40.0, None], "city": ["Rome", None, "Rome"], "won": [1, None, 0]}
        >>> batches = from_table(table, [Task.binary("won")], batch_size=3)
        >>> x, y, w = next(iter(batches))
        >>> x["age"].numpy().tolist(), x["city"].numpy().tolist()
        ([20.0, 40.0, nan], [b'Rome', b'', b'Rome'])
        >>> y["won"].numpy().tolist(), w["won"].numpy().tolist()
        ([1.0, 0.0, 0.0], [1.0, 0.0, 1.0])
        >>> encoder = tabular_encoder(batches, missing="mean")
        >>> rows = from_table({"age": [None], "city": [None]}, batch_size=1, encoder=encoder)
        >>> encoder.predict(rows, verbose=0).tolist()  # the mean, flagged, and the city of None
        [[0.0, 1.0, 1.0]]
    """
    if not is_table(table):
        raise TypeError(
            f"expected a data frame or a dict of arrays; received a {type(table).__name__}."
        )
    columns, _ = read_table(table)
    if not columns or not len(next(iter(columns.values()))):
        raise ValueError("the table is empty; expected at least one row.")
    labels = {}
    if tasks:
        tasks = check_tasks(tasks)
        labels = {task.name: _read_labels(columns, task) for task in tasks}
        used = {name for task in tasks for name in _label_names(columns, task)}
        columns = {name: column for name, column in columns.items() if name not in used}
    if encoder is not None:  # docs/keras_notes.md, pain 100
        columns = match_columns(columns, encoder)
    dataset = tf.data.Dataset.from_tensor_slices((columns, labels) if tasks else columns)
    if batch_size is not None:
        dataset = dataset.batch(read_whole(batch_size, "batch_size is"))
    return mask_missing(dataset, tasks) if tasks else dataset


def _label_names(columns: Columns, task: Task) -> list[str]:
    """Returns the columns of the table that hold the labels of a task."""
    names = [task.name] if task.columns is None else list(task.columns)
    if task.labels is not None and task.labels.time_to_event:
        names = [f"{task.name}_time", f"{task.name}_event"]
    absent = [name for name in names if name not in columns]
    if absent:
        raise ValueError(
            f"task {task.name!r}: the table has no column {', '.join(map(repr, absent))}; its "
            f"columns are {list(columns)}."
        )
    return names


def _read_labels(columns: Columns, task: Task) -> npt.NDArray[Any]:
    """Returns the labels of a task, `(rows,)` or `(rows, columns)`; -1 or NaN is missing."""
    names = _label_names(columns, task)
    for name in names:
        if columns[name].dtype.kind == "O":
            raise ValueError(
                f"task {task.name!r}: the labels in column {name!r} are strings; expected numbers. "
                "Number the classes first: frame[name].astype('category').cat.codes does."
            )
    if len(names) > 1 or task.columns is not None:
        return np.stack([columns[name].astype(np.float32) for name in names], axis=-1)
    labels = columns[names[0]]
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        return labels
    if task.labels is None or not task.labels.integer:
        return labels.astype(np.float32)
    missing = np.isnan(labels)
    whole = np.where(missing, -1, labels)
    # A fraction stays one, for check_dataset to refuse it.
    return whole.astype(np.int64) if (whole == np.round(whole)).all() else labels
