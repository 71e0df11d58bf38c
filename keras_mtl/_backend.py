"""Operations that `keras.ops` lacks: TensorFlow is imported inside of the functions."""

import contextlib
from collections.abc import Sequence
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


def solve_by_factor(factors: Tensor, columns: Tensor) -> Tensor:
    """Returns the solutions of systems whose Cholesky factors are known, `[m, K, r]`.

    Args:
        factors: Lower triangles `[m, K, K]`.
        columns: Right sides, `[m, K, r]`.
    """
    if keras.backend.backend() != "tensorflow":
        half = ops.solve_triangular(factors, columns, lower=True)
        return ops.solve_triangular(ops.transpose(factors, (0, 2, 1)), half, lower=False)
    import tensorflow as tf

    # Without a transposed copy of the factors, which takes longer than the two solves.
    return tf.linalg.cholesky_solve(factors, columns)


def layers_can_measure() -> bool:
    """Returns whether a layer may have a metric of its own.

    Under JAX, Keras hands the layers variables without those of metrics in a step, and metrics
    their own variables alone (docs/keras_notes.md, 142).
    """
    return bool(keras.backend.backend() != "jax")


def take_from_shards(tables: Sequence[Any], rows: Tensor) -> Tensor:
    """Returns rows of a table whose row i is row `i // S` of table `i % S`, of S tables.

    On TensorFlow each table is asked for its own rows only, where it is, and its gradient is
    sparse.

    Args:
        tables: S variables `[rows of the table, units]`.
        rows: Whole numbers of any shape.
    """
    num_tables = len(tables)
    if keras.backend.backend() != "tensorflow":
        table, place = rows % num_tables, rows // num_tables
        return sum(
            ops.where(
                ops.equal(table, i)[..., None],
                ops.take(variable, ops.where(ops.equal(table, i), place, 0), axis=0),
                0,
            )
            for i, variable in enumerate(tables)
        )
    import tensorflow as tf

    flat = tf.reshape(rows, (-1,))
    table, place = tf.cast(flat % num_tables, tf.int32), flat // num_tables
    positions = tf.dynamic_partition(tf.range(tf.size(flat)), table, num_tables)
    places = tf.dynamic_partition(place, table, num_tables)
    # A gather from the variable itself: from its value, the whole table would be sent first.
    parts = [tf.gather(v.value, p) for v, p in zip(tables, places, strict=True)]
    taken = tf.dynamic_stitch(positions, parts)
    return tf.reshape(taken, tf.concat([tf.shape(rows), [tables[0].shape[1]]], 0))
