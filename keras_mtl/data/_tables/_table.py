"""One way to read the rows of a table, wherever it comes from."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.data._tables._frames import Columns, is_table, read_table

_ROWS = 4096  # rows of a chunk: sums do not depend on how the source was batched


@dataclasses.dataclass(frozen=True)
class Table:
    """Holds the columns of a table and a way to read them.

    Args:
        dtypes: The dtype of each column, by name; that of objects for strings.
        declared: Columns of numbers that the source declares categorical.
        read: Yields dicts of columns, in batches of any size.
    """

    dtypes: Mapping[str, np.dtype[Any]]
    declared: tuple[str, ...]
    read: Callable[[], Iterable[Columns]]

    def is_text(self, name: str) -> bool:
        """Tells whether a column holds strings."""
        return self.dtypes[name].kind == "O"

    def chunks(self) -> Iterator[Columns]:
        """Yields all rows in order, in chunks of one size; the last one may be shorter."""
        kept: list[Columns] = []
        rows = 0
        for batch in self.read():
            kept.append(batch)
            rows += len(next(iter(batch.values())))
            if rows < _ROWS:
                continue
            joined = {name: np.concatenate([part[name] for part in kept]) for name in batch}
            whole = rows - rows % _ROWS
            for start in range(0, whole, _ROWS):
                yield {name: column[start : start + _ROWS] for name, column in joined.items()}
            kept = [{name: column[whole:] for name, column in joined.items()}]
            rows -= whole
        if rows:
            yield {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}


def open_table(source: Any) -> Table:
    """Opens a dataset, a data frame or a dict of arrays.

    Args:
        source: A `tf.data.Dataset` of batches of a dict of columns, or of `(columns, ...)`; a
            frame of pandas or polars; or a dict of arrays.

    Raises:
        TypeError: If it is none of these, or a column holds neither numbers nor strings nor
            dates.
        ValueError: If the dataset is infinite, or a column has more than one value per row.
    """
    if isinstance(source, tf.data.Dataset):
        return _open_dataset(source)
    if not is_table(source):
        raise TypeError(
            "expected a tf.data.Dataset of a dict of columns, a data frame or a dict of arrays; "
            f"received a {type(source).__name__}."
        )
    columns, declared = read_table(source)
    _check_names(columns)
    dtypes = {name: column.dtype for name, column in columns.items()}
    return Table(dtypes, tuple(declared), lambda: [columns])


def _check_names(columns: Mapping[str, Any]) -> None:
    """Checks that the columns can be inputs of a Keras model."""
    if not columns:
        raise ValueError("the table has no column.")
    for name in columns:
        if not isinstance(name, str):
            raise TypeError(f"column {name!r}: the names of columns must be strings.")
        if not name or "/" in name:
            raise ValueError(
                f"column {name!r}: Keras takes no empty name, and no '/', for an input; rename it."
            )


def _open_dataset(dataset: tf.data.Dataset) -> Table:
    specs = column_specs(dataset)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    dtypes = {name: np.dtype(spec.dtype.as_numpy_dtype) for name, spec in specs.items()}

    def read() -> Iterator[Columns]:
        for batch in dataset.map(lambda first, *_: first).as_numpy_iterator():
            # Of the shape (batch, 1) as good as of (batch,).
            yield {name: np.reshape(column, -1) for name, column in batch.items()}

    return Table(dtypes, (), read)


def column_specs(dataset: tf.data.Dataset) -> dict[str, tf.TensorSpec]:
    """Returns the specs of the table's columns; checks that each has one value per row."""
    spec = dataset.element_spec
    table_columns = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(table_columns, Mapping):
        raise TypeError(
            "expected a dataset of a dict of columns, or of (columns, ...); received "
            f"{type(table_columns).__name__}."
        )
    _check_names(table_columns)
    for name, column in table_columns.items():
        if not isinstance(column, tf.TensorSpec):
            raise TypeError(f"column {name!r} is {column}; expected a dense tensor (batch,).")
        if column.shape.rank != 1 and (column.shape.rank != 2 or column.shape[1] != 1):
            raise ValueError(
                f"column {name!r} has shape {column.shape}; expected (batch,). Batch the dataset, "
                "and split a column of several values."
            )
        dtype = column.dtype
        if not (dtype.is_floating or dtype.is_integer or dtype in (tf.bool, tf.string)):
            raise TypeError(f"column {name!r} holds {dtype.name}; expected numbers or strings.")
    return dict(table_columns)
