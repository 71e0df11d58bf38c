"""Rows of gradients, one row per loss, changed and summed.

Gradients that are entries of one array are changed or summed by one operation on the array.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Gradient, Row


def change_rows(
    rows: Sequence[Row],
    alone: Callable[[int, Gradient], Gradient],
    together: Callable[[list[int], Tensor], Tensor],
) -> list[Row]:
    """Returns rows with each gradient changed; changes the entries of one array at once.

    Args:
        rows: The gradients, one row per loss.
        alone: Changes a gradient of the loss at a position.
        together: Changes an array that holds a gradient for each of the losses at some positions.
    """
    # By identity: each array, and the loss that each of its entries belongs to.
    arrays: dict[int, tuple[Tensor, dict[int, int]]] = {}
    for k, row in enumerate(rows):
        for gradient in row:
            if gradient.index is not None:
                _, loss_at = arrays.setdefault(id(gradient.array), (gradient.array, {}))
                loss_at[gradient.index] = k
    changed_arrays = {
        key: together([loss_at[i] for i in sorted(loss_at)], array)
        for key, (array, loss_at) in arrays.items()
    }

    def changed(k: int, gradient: Gradient) -> Gradient:
        if gradient.is_entry:
            return Gradient(changed_arrays[id(gradient.array)], gradient.index)
        return alone(k, gradient) if gradient.exists else gradient

    return [[changed(k, gradient) for gradient in row] for k, row in enumerate(rows)]


def zero_rows(which: Tensor, rows: Sequence[Row]) -> list[Row]:
    """Returns the rows with zeros for some losses.

    Args:
        which: The losses whose gradients become zero, bool `[K]`.
        rows: The gradients, one row per loss.
    """
    flags = tf.unstack(which)

    def without(flag: Tensor, numbers: Tensor) -> Tensor:
        # No product with 0, which would keep a NaN (docs/keras_notes.md, F5).
        return tf.where(flag, tf.zeros_like(numbers), numbers)

    return change_rows(
        rows,
        lambda k, gradient: gradient.with_values(without(flags[k], gradient.values)),
        lambda losses, array: without(along_first(tf.gather(which, losses), array), array),
    )


def scale_rows(weights: Tensor, rows: Sequence[Row]) -> list[Row]:
    """Returns the rows with the gradients of each loss times its weight, `[K]`."""

    def scaled(losses: list[int], array: Tensor) -> Tensor:
        return array * tf.cast(along_first(tf.gather(weights, losses), array), array.dtype)

    return change_rows(rows, lambda k, gradient: gradient.times(weights[k]), scaled)


def along_first(numbers: Tensor, array: Tensor) -> Tensor:
    """Returns one number per entry of an array's first axis, as `(m, 1, ...)`, to multiply it."""
    return tf.reshape(numbers, [-1] + [1] * (array.shape.rank - 1))


def runs(column: Sequence[Gradient]) -> list[tuple[list[int], Tensor | None]]:
    """Returns the losses' gradients with respect to one source as arrays `[m, n]`.

    Entries of one array whose losses follow each other stay together. Every other gradient is an
    array `[1, n]` of its own, or `None` where the loss does not reach the source.

    Returns:
        Pairs of the positions of m losses and their array, in the order of the losses.
    """
    grouped: list[tuple[list[int], list[Gradient]]] = []
    for k, gradient in enumerate(column):
        last = grouped[-1][1][-1] if grouped else Gradient()
        if gradient.is_entry and last.is_entry and gradient.array is last.array:
            grouped[-1][0].append(k)
            grouped[-1][1].append(gradient)
        else:
            grouped.append(([k], [gradient]))
    return [(losses, _joined(run)) for losses, run in grouped]


def _joined(run: list[Gradient]) -> Tensor | None:
    first, array = run[0], run[0].array
    if array is None:
        return None
    if not first.is_entry:
        return tf.reshape(first.dense(), (1, -1))  # [1, n]
    order = [entry.index for entry in run]
    if order != list(range(array.shape[0])):  # whole arrays are not copied
        array = tf.gather(array, order)
    return tf.reshape(tf.cast(array, tf.float32), (len(order), -1))  # [m, n]


def weighted_sum(weights: Tensor | None, rows: Sequence[Row]) -> Row:
    """Returns the sum of the losses' gradients times weights `[K]`, one for each source.

    Args:
        weights: The weights; `None` for ones.
        rows: The gradients, one row per loss.
    """
    sums: Row = []
    for column in zip(*rows, strict=True):
        terms: list[Tensor] = []
        for k, gradient in enumerate(column):
            if gradient.stands_alone:
                dense = gradient.dense()
                terms.append(dense if weights is None else weights[k] * dense)
        if any(gradient.is_entry for gradient in column):
            terms += _sums_of_entries(weights, column)
        sums.append(Gradient(tf.add_n(terms) if terms else None))
    return sums


def _sums_of_entries(weights: Tensor | None, column: Sequence[Gradient]) -> list[Tensor]:
    """Returns the weighted sums of the entries of each array, shaped as the source."""
    shape = tf.shape(next(gradient.values for gradient in column if gradient.exists))
    entries = [gradient if gradient.is_entry else Gradient() for gradient in column]
    sums = []
    for losses, array in runs(entries):
        if array is not None:
            factors = tf.ones(len(losses)) if weights is None else tf.gather(weights, losses)
            sums.append(tf.reshape(tf.matmul(factors[None, :], array), shape))
    return sums
