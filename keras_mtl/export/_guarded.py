"""Answers of NaN for rows whose inputs are not finite."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Columns: TypeAlias = npt.NDArray[np.int64] | None
"""Places on the last axis of an input; `None` for all of them."""


def take_columns(
    inputs: Mapping[str, tf.Tensor], columns: Mapping[str, Columns]
) -> dict[str, tf.Tensor]:
    """Returns some columns of those inputs of which any are named."""
    return {
        name: inputs[name] if places is None else tf.gather(inputs[name], places, axis=-1)
        for name, places in columns.items()
    }


def guard(
    predictions: Mapping[str, tf.Tensor],
    inputs: Mapping[str, tf.Tensor],
    reads: Mapping[str, Sequence[str]],
) -> dict[str, tf.Tensor]:
    """Returns predictions, with NaN for each row of which an input is not finite.

    An error would cost a server that gathers the requests of many clients in one batch the answers
    of all of them. XLA and TensorFlow Lite compile the operations.

    Args:
        predictions: By task, `(batch, ...)`.
        inputs: By name, `(batch, ...)`.
        reads: By task, the names of the inputs that count.
    """
    finite: dict[tuple[str, ...], tf.Tensor] = {}
    guarded = {}
    for task, prediction in predictions.items():
        names = tuple(reads[task])
        if names and names not in finite:
            finite[names] = _finite_rows([inputs[name] for name in names])
        guarded[task] = _where(finite[names], prediction) if names else prediction
    return guarded


def _finite_rows(inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns which rows are finite in all of some inputs, bool `(batch,)`."""
    groups: dict[tuple[tf.DType, bool], list[tf.Tensor]] = {}
    for values in inputs:
        groups.setdefault((values.dtype, values.shape.rank == 1), []).append(values)
    flags = [
        tf.reduce_all(tf.math.is_finite(_join(group, is_column)), 1)
        for (_, is_column), group in groups.items()
    ]
    return tf.reduce_all(tf.stack(flags), 0) if len(flags) > 1 else flags[0]


def _join(group: Sequence[tf.Tensor], is_column: bool) -> tf.Tensor:
    """Returns the entries of several inputs of one dtype side by side, `(batch, entries)`."""
    if is_column:
        # tf.stack tries to make a constant of the list first: a second per hundred columns and
        # ten signatures.
        return tf.raw_ops.Pack(values=group, axis=1)
    flat = [
        values if values.shape.rank == 2 else tf.reshape(values, (tf.shape(values)[0], -1))
        for values in group
    ]
    return tf.concat(flat, 1) if len(flat) > 1 else flat[0]


def _where(finite: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Returns a prediction, with NaN in the rows that are not finite."""
    rows = tf.reshape(finite, [-1] + [1] * (prediction.shape.rank - 1))
    return tf.where(rows, prediction, tf.constant(np.nan, prediction.dtype))
