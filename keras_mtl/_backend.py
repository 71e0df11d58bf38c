"""Operations that `keras.ops` lacks: TensorFlow is imported inside of the functions."""

import contextlib
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


def outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Returns a context in which operations run at once, also while a graph is traced."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    context: contextlib.AbstractContextManager[Any] = tf.init_scope()
    return context


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Returns some rows of `values`, `[rows, ...]`, with a dense gradient.

    The gradient of `ops.take` is sparse, and TensorFlow warns where such a gradient meets an
    operation that wants a dense one.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(values, rows, axis=0)
    import tensorflow as tf

    # Two indices for each row: the gradient of one index is sparse again.
    values = tf.convert_to_tensor(values)[tf.newaxis]
    return tf.gather_nd(values, tf.stack([tf.zeros_like(rows), rows], axis=1))


def require(condition: Tensor, message: str) -> None:
    """Stops a step in which `condition` is false; compiled by XLA it does nothing."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.debugging.Assert(condition, [message])


def cholesky_or_nan(matrices: Tensor) -> Tensor:
    """Returns the Cholesky factors of matrices, NaN where a matrix has none.

    `ops.cholesky` ends a step of TensorFlow with an error there (docs/keras_notes.md, 140).
    """
    if keras.backend.backend() != "tensorflow":
        return ops.cholesky(matrices)
    import tensorflow as tf

    return tf.linalg.cholesky(matrices)
