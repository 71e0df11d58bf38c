"""Whether a network fills missing numbers on purpose, or lets them into its variables."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_mtl._keras_internals import run_graph
from keras_mtl._types import Tensor

# Operations of Keras, and layers of this package, that look for NaN, choose between numbers or
# leave some out. All others that make finite numbers of NaN do so by accident: ReLU, a maximum, a
# cast, a search for the bin of a number.
_DELIBERATE = {
    *("CategoryCodes", "NumericColumns"),
    *("Equal", "Isfinite", "Isinf", "Isnan", "Lambda", "NanToNum", "NotEqual", "Where"),
    *("ChannelSlice", "GetItem", "PickBranch", "Split", "Take", "TakeAlongAxis", "Unstack"),
}

_MAX_COLUMNS = 1024  # of wider tables a row is filled or not

Flags: TypeAlias = npt.NDArray[np.bool_]


def fills(network: keras.Model, rows: Sequence[Tensor]) -> Flags:
    """Returns for each of some rows whether a network fills its numbers that are not finite.

    It does if its predictions for the row and all gradients of its variables are finite, and no
    operation of Keras made a finite number of NaN by accident. The gradients tell what
    predictions do not: TensorFlow's ReLU makes 0 of NaN, but the kernel before it gets a gradient
    of 0 * NaN (docs/keras_notes.md, pain 116).

    Args:
        network: A functional model.
        rows: The values of its inputs, in the order of `network.inputs`.
    """
    try:
        return _fills_together(network, rows)
    except Exception:  # such as that of an operation in which rows meet
        num_rows = len(rows[0])
        if num_rows == 1:
            return np.zeros(1, bool)
        single = [fills(network, _pick(rows, [row])) for row in range(num_rows)]
        return np.concatenate(single)


def filled_columns(network: keras.Model) -> list[Flags]:
    """Returns for each input of a network where NaN is filled, or there are no floats.

    Returns:
        For a table `(batch, columns)` one flag per column, for other inputs one flag.
    """
    sizes = [_num_parts(tensor) for tensor in network.inputs]
    rows = blank_rows(network, sum(sizes))
    first = 0
    for place, size in enumerate(sizes):  # in each row another part of one input is NaN
        if size:
            broken = np.zeros(rows[place].shape, bool)
            parts = np.arange(size)
            broken[(first + parts, parts) if size > 1 else first] = True
            rows[place] = tf.where(broken, tf.cast(np.nan, rows[place].dtype), rows[place])
            first += size
    filled = iter(fills(network, rows)) if first else iter(())
    return [np.array([next(filled) for _ in range(size)] or [True]) for size in sizes]


def _num_parts(tensor: Tensor) -> int:
    """Returns the number of columns that are looked at one by one; 0 if an input has no floats."""
    if "float" not in str(tensor.dtype):
        return 0
    columns = tensor.shape[-1] if len(tensor.shape) == 2 else None
    return columns if columns and columns <= _MAX_COLUMNS else 1


def blank_rows(network: keras.Model, num_rows: int = 1) -> list[Tensor]:
    """Returns rows for each input of a network: zeros, or empty strings."""
    return [
        tf.zeros([size or 1 for size in (num_rows, *tensor.shape[1:])], tensor.dtype)
        for tensor in network.inputs
    ]


def _fills_together(network: keras.Model, rows: Sequence[Tensor]) -> Flags:
    """Returns what `fills` does, in one pass over all rows if none is filled by half."""
    function = keras.Function(list(network.inputs), keras.tree.flatten(network.output))
    accidents = np.zeros(len(rows[0]), bool)
    outputs = run_graph(function, list(rows), _observe(accidents))
    filled: Flags = ~accidents & np.all([_finite_rows(output) for output in outputs], axis=0)
    places = np.flatnonzero(filled)
    if places.size and not _has_finite_gradients(network, function, _pick(rows, places)):
        filled[places] = [
            _has_finite_gradients(network, function, _pick(rows, [row])) for row in places
        ]
    return filled


def _pick(rows: Sequence[Tensor], places: Any) -> list[Tensor]:
    return [tf.gather(values, places) for values in rows]


def _has_finite_gradients(
    network: keras.Model, function: keras.Function, rows: Sequence[Tensor]
) -> bool:
    """Returns whether all variables have finite gradients of the sum of the predictions."""
    sources = [v.value for v in network.variables if "float" in str(v.dtype)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = run_graph(function, list(rows))
        total = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32)) for output in outputs])
    for gradient in tape.gradient(total, sources):
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        if values is not None and not tf.reduce_all(tf.math.is_finite(values)):
            return False
    return True


def _observe(accidents: Flags) -> Callable[[Any], Callable[..., Any]]:
    """Returns a stand-in for operations that marks the rows of which one hides NaN by accident."""

    def stand_in(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                outputs = operation(*args, **kwargs)
            except Exception:  # such as that of an encoder that may not fill a gap
                args, kwargs = _without_refused(operation, args, kwargs, accidents)
                outputs = operation(*args, **kwargs)
            if not _is_deliberate(operation):
                received = _nan_rows((args, kwargs), len(accidents))
                accidents[:] |= received & ~_nan_rows(outputs, len(accidents))
            return outputs

        return call

    return stand_in


def _without_refused(operation: Any, args: Any, kwargs: Any, accidents: Flags) -> Any:
    """Returns arguments without the NaN of rows for which an operation raises an error.

    Marks these rows as accidents. The operation is called on single rows, which costs less than
    calls of the whole network.
    """
    num_rows = len(accidents)
    broken = np.flatnonzero(_nan_rows((args, kwargs), num_rows))
    if not broken.size:
        raise
    # Split once: slices of each row of a hundred columns take seconds.
    leaves = [
        tf.split(value, num_rows) if _has_rows(value, num_rows) else [value] * num_rows
        for value in keras.tree.flatten((args, kwargs))
    ]
    for row in broken:
        single = keras.tree.pack_sequence_as((args, kwargs), [parts[row] for parts in leaves])
        try:
            operation(*single[0], **single[1])
        except Exception:
            accidents[row] = True
    return keras.tree.map_structure(lambda value: _zeroed(value, accidents), (args, kwargs))


def _zeroed(value: Any, rows: Flags) -> Any:
    """Returns a tensor with 0 for NaN in some rows; other values as they are."""
    if not _has_rows(value, len(rows)) or not value.dtype.is_floating:
        return value
    of_row = rows.reshape((-1,) + (1,) * (value.shape.rank - 1))
    return tf.where(of_row & tf.math.is_nan(value), tf.zeros_like(value), value)


def _has_rows(value: Any, num_rows: int) -> bool:
    return isinstance(value, tf.Tensor) and value.shape.rank > 0 and value.shape[0] == num_rows


def _is_deliberate(operation: Any) -> bool:
    """Returns whether an operation is a user's own, or one that looks for NaN."""
    kind = type(operation)
    is_own = not kind.__module__.startswith(("keras.", "keras_mtl."))
    return is_own or isinstance(operation, keras.Model) or kind.__name__ in _DELIBERATE


def _nan_rows(values: Any, num_rows: int) -> Flags:
    """Returns which rows hold NaN; all of them, if a tensor with NaN has no axis of rows.

    Args:
        values: Arguments or results of an operation.
        num_rows: The number of rows.
    """
    rows = np.zeros(num_rows, bool)
    for value in keras.tree.flatten(values):
        if isinstance(value, tf.Tensor) and value.dtype.is_floating:
            broken = np.asarray(tf.math.is_nan(value))
            has_rows = _has_rows(value, num_rows)
            rows |= broken.reshape(num_rows, -1).any(axis=1) if has_rows else broken.any()
    return rows


def _finite_rows(output: Tensor) -> Flags:
    flat = tf.reshape(output, (len(output), -1))
    flags: Flags = np.asarray(tf.reduce_all(tf.math.is_finite(flat), axis=1))
    return flags
