"""Cells of a table, taken from other rows."""

import tensorflow as tf


def swap_cells(values: tf.Tensor, rate: float, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces some cells by those of other rows of the same column.

    Args:
        values: A table, `[rows, columns]`, or one column, `[rows]`.
        rate: The probability of a cell to be replaced.
        seed: An int32 `[2]`.

    Returns:
        The table, and booleans of its shape: which cells differ from what stood there. A cell that
        was replaced by an equal one does not count.
    """
    table = values if values.shape.rank == 2 else values[:, tf.newaxis]
    shape = tf.shape(table)
    orders = tf.argsort(tf.random.stateless_uniform(shape, seed), axis=0)  # one per column
    columns = tf.broadcast_to(tf.range(shape[1]), shape)
    drawn = tf.gather_nd(table, tf.stack([orders, columns], -1))
    is_drawn = tf.random.stateless_uniform(shape, seed + 1) < rate
    changed = tf.where(is_drawn, drawn, table)
    differs = changed != table
    if values.shape.rank == 1:
        return changed[:, 0], differs[:, 0]
    return changed, differs
