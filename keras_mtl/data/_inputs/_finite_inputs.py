"""Inputs that hold NaN or infinite numbers: where they are."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_BLOCK = 1 << 16  # numbers that fit into the cache of a core, with their copy in float32
_MAX_NAMES = 5
_KINDS = (np.nan, np.inf, -np.inf)

WHOLE = -1
"""Stands for the column of an input that is no table."""

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Place:
    """Says where a column is not finite.

    Args:
        row: The first row that is not finite.
        values: The values that occur, of NaN, infinity and minus infinity.
    """

    row: int
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class BrokenInput:
    """Says where one input is not finite.

    Args:
        name: Its name in a message, such as `"input 'age'"`.
        places: By column that is not finite; by `WHOLE` where the input is no table.
        labels: The names of all columns, if the input is a frame.
    """

    name: str
    places: Mapping[int, Place]
    labels: Sequence[Any] | None = None

    @property
    def row(self) -> int:
        """The first row that is not finite."""
        return min(place.row for place in self.places.values())

    def describe(self, where: str) -> str:
        """Returns the words that say where the input is not finite.

        Args:
            where: What the number of the row counts in, such as `"of batch 3"`.
        """
        columns = [column for column in sorted(self.places) if column != WHOLE]
        listed = ""
        if columns:
            labels = [self.labels[c] if self.labels else c for c in columns[:_MAX_NAMES]]
            more = len(columns) - _MAX_NAMES
            listed = f", column(s) {', '.join(map(repr, labels))}"
            listed += f" and {more} more" if more > 0 else ""
        row = f"row {self.row} {where}".rstrip()
        occurring = {str(value) for place in self.places.values() for value in place.values}
        values = ", ".join(kind for kind in map(str, _KINDS) if kind in occurring)
        return f"{self.name}{listed} ({values}; first in {row})"


def broken_inputs(x: Any) -> list[BrokenInput]:
    """Returns the inputs that are not finite in the dtype in which Keras trains on them.

    Nothing is copied but blocks of numbers that are not float32 yet. Inputs of integers, booleans
    or strings are not read.

    Args:
        x: Arrays in any structure; frames of pandas, sparse and ragged tensors are among them.
    """
    broken = [_look_at(name, leaf) for name, leaf in name_leaves(x)]
    return [finding for finding in broken if finding is not None]


def name_leaves(x: Any, name: str = "") -> list[tuple[str, Any]]:
    """Returns the leaves of a structure of inputs, each with its name for messages."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(x, Mapping):
        pairs = [(key, x[key]) for key in sorted(x, key=str)]
    elif isinstance(x, tuple | list):
        pairs = list(enumerate(x))
    else:
        return [(name or "the input", x)]
    return [
        entry
        for key, value in pairs
        for entry in name_leaves(value, f"{name}[{key!r}]" if name else f"input {key!r}")
    ]


def is_finite(array: Array) -> bool:
    """Returns whether all numbers are finite in the floats in which Keras trains."""
    floats = keras.config.floatx()
    with np.errstate(over="ignore", invalid="ignore"):
        return all(np.isfinite(block.astype(floats, copy=False)).all() for block in _blocks(array))


def _blocks(array: Array) -> Iterator[Array]:
    """Yields an array piece by piece, each of them contiguous where the array is."""
    if array.flags.c_contiguous or array.flags.f_contiguous:
        flat = array.ravel(order="K")  # a view
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK]
    else:
        rows = max(1, _BLOCK // max(1, array[:1].size))
        for start in range(0, len(array), rows):
            yield array[start : start + rows]


def _look_at(name: str, leaf: Any) -> BrokenInput | None:
    """Returns where a leaf is not finite, or `None`."""
    if hasattr(leaf, "iloc") and hasattr(leaf, "columns"):
        return _look_at_frame(name, leaf)
    values, rows = _floats(leaf)
    if values is None or is_finite(values):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        values = values.astype(keras.config.floatx(), copy=False)
    if rows is not None:  # the numbers of a sparse or ragged tensor, of which the rows are known
        broken = ~np.isfinite(values).reshape(len(rows), -1).all(axis=1)
        return BrokenInput(name, {WHOLE: Place(int(rows[broken].min()), _kinds(values))})
    return BrokenInput(name, _places(values))


def _places(values: Array) -> dict[int, Place]:
    """Returns where floats `(rows, ...)`, which are not all finite, are not finite."""
    broken = ~np.isfinite(values)
    if values.ndim != 2 or values.shape[1] == 1:
        rows = broken.reshape(len(broken), -1).any(axis=1)
        return {WHOLE: Place(int(np.argmax(rows)), _kinds(values))}
    columns = np.flatnonzero(broken.any(axis=0))
    rows, values = np.argmax(broken[:, columns], axis=0), values[:, columns]
    occurs = [places.any(axis=0) for places in _kind_places(values)]
    return {
        int(column): Place(
            int(row), tuple(kind for kind, of in zip(_KINDS, here, strict=True) if of)
        )
        for column, row, here in zip(columns, rows, zip(*occurs, strict=True), strict=True)
    }


def _kinds(values: Array) -> tuple[float, ...]:
    """Returns which of NaN, infinity and minus infinity an array holds."""
    pairs = zip(_KINDS, _kind_places(values), strict=True)
    return tuple(kind for kind, places in pairs if places.any())


def _kind_places(values: Array) -> tuple[Array, Array, Array]:
    return np.isnan(values), values == np.inf, values == -np.inf


def _look_at_frame(name: str, frame: Any) -> BrokenInput | None:
    """Returns where a DataFrame is not finite: column by column, since their dtypes differ."""
    places = {}
    for position, (_, values) in enumerate(frame.items()):
        array = values.to_numpy()
        if array.dtype.kind != "f":  # objects, and dtypes of pandas
            array = np.where(values.isna().to_numpy(), np.nan, 0.0)
        finding = _look_at("", array)
        if finding is not None:
            places[position] = finding.places[WHOLE]
    return BrokenInput(name, places, list(frame.columns)) if places else None


def _floats(leaf: Any) -> tuple[Array | None, Array | None]:
    """Returns the floats of a leaf, and their rows if it is sparse or ragged; `None` without."""
    rows = None
    if isinstance(leaf, tf.SparseTensor):
        leaf, rows = leaf.values, np.asarray(leaf.indices)[:, 0]
    elif isinstance(leaf, tf.RaggedTensor):
        leaf, rows = leaf.flat_values, _rows_of_ragged(leaf)
    elif hasattr(leaf, "tocoo"):
        if leaf.dtype.kind != "f":
            return None, None
        leaf, rows = (matrix := leaf.tocoo()).data, matrix.row
    if not hasattr(leaf, "__array__"):
        return None, None
    array = np.asarray(leaf)
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16
        array = array.astype(np.float32)
    return (array if array.dtype.kind == "f" and array.ndim else None), rows


def _rows_of_ragged(tensor: tf.RaggedTensor) -> Array:
    """Returns the number of the outermost row of each flat value."""
    rows: Array = np.asarray(tensor.value_rowids())
    inner = tensor.values
    while isinstance(inner, tf.RaggedTensor):
        rows = rows[np.asarray(inner.value_rowids())]
        inner = inner.values
    return rows


def describe(broken: Sequence[BrokenInput], where: str = "") -> str:
    """Returns the sentence that refuses inputs which are not finite."""
    listed = "; ".join(finding.describe(where) for finding in broken[:_MAX_NAMES])
    more = len(broken) - _MAX_NAMES
    return (
        f"inputs hold NaN or infinite numbers: {listed}"
        + (f"; and {more} more inputs" if more > 0 else "")
        + ". One such row makes variables NaN in training, and a ReLU answers it with a plausible "
        "constant. Fill or drop these rows; or let a layer of the network fill them, as "
        "data.tabular_encoder(missing='median') does and any layer may with keras.ops.isnan; or "
        "pass check_inputs=False to BalancedModel.compile."
    )
