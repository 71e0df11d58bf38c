"""Gradients of several tasks with respect to the same things, and their inner products."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._slices import Entry, change_rows

Row: TypeAlias = list[Tensor | None]
"""One task's gradients, a tensor for each thing; `None` where the task does not reach it."""

Stack: TypeAlias = list[Tensor]
"""The gradients of all tasks: an array `[K, n]` for each thing."""


def present(row: Row) -> list[Tensor]:
    """The gradients of a row that exist."""
    return [gradient for gradient in row if gradient is not None]


def values(gradient: Tensor) -> Tensor:
    """The numbers of a gradient, which for an embedding is a sparse one."""
    if isinstance(gradient, Entry):
        return gradient.tensor
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def times(factor: Tensor, gradient: Tensor | None) -> Tensor | None:
    """A gradient times a scalar; a sparse one stays sparse."""
    if gradient is None:
        return None
    return _with_values(gradient, values(gradient) * tf.cast(factor, gradient.dtype))


def add(gradient: Tensor, more: Tensor | None) -> Tensor:
    """The sum of two gradients, the second of which may not exist."""
    if more is None:
        return gradient
    return tf.cast(dense(gradient), more.dtype) + tf.convert_to_tensor(more)


def dense(gradient: Tensor) -> Tensor:
    """A gradient as one float32 tensor; entries of a sparse one with the same row add up."""
    if isinstance(gradient, Entry):
        gradient = gradient.tensor
    if isinstance(gradient, tf.IndexedSlices):
        shape = tf.cast(gradient.dense_shape, tf.int64)
        indices = tf.cast(gradient.indices, tf.int64)[:, None]
        gradient = tf.scatter_nd(indices, gradient.values, shape)
    return tf.cast(gradient, tf.float32)


def keep_finite(finite: Tensor, stacked: Stack, rows: list[Row]) -> tuple[Stack, list[Row]]:
    """Gradients with zeros for the tasks that are not finite; no work in a healthy step.

    Args:
        finite: Whose gradients are finite, bool `[K]`.
        stacked: Gradients in arrays `[K, n]`; may be none.
        rows: More gradients, a row a task; may hold none.
    """
    if not stacked and not any(present(row) for row in rows):
        return stacked, rows

    def cleaned() -> tuple[Stack, list[Row]]:
        kept = [tf.where(finite[:, None], each, tf.zeros_like(each)) for each in stacked]
        return kept, zero_rows(~finite, rows)

    return tuple(branch(tf.reduce_all(finite), lambda: (stacked, rows), cleaned))


def zero_rows(which: Tensor, rows: list[Row]) -> list[Row]:
    """Makes the gradients of some tasks, bool `[K]`, zero."""
    flags = tf.unstack(which)

    def without(flag: Tensor, gradient: Tensor) -> Tensor:
        numbers = values(gradient)
        return _with_values(gradient, tf.where(flag, tf.zeros_like(numbers), numbers))

    return change_rows(
        rows,
        lambda k, gradient: without(flags[k], gradient),
        lambda places, whole: without(_along_first(tf.gather(which, places), whole), whole),
    )


def scale_rows(weights: Tensor, rows: list[Row]) -> list[Row]:
    """The gradients of each task times its weight."""

    def scaled(places: list[int], whole: Tensor) -> Tensor:
        return whole * tf.cast(_along_first(tf.gather(weights, places), whole), whole.dtype)

    return change_rows(rows, lambda k, gradient: times(weights[k], gradient), scaled)


def _along_first(numbers: Tensor, like: Tensor) -> Tensor:
    """A number for each entry of the first axis, to be broadcast over the others."""
    return tf.reshape(numbers, [-1] + [1] * (like.shape.rank - 1))


def branch(condition: Tensor, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """As `tf.cond`, for nests that hold `None` and sparse gradients in the same places.

    Only what is dense, or the values of what is sparse, goes through the branches.
    """
    like: list[Any] = []

    def flat(make: Callable[[], Any]) -> list[Tensor]:
        nest = make()
        like.append(nest)
        leaves = [g for g in tf.nest.flatten(nest) if g is not None]
        alone = [values(g) for g in leaves if not isinstance(g, Entry)]
        return [*alone, *_wholes(leaves).values()]

    chosen = iter(tf.cond(condition, lambda: flat(then), lambda: flat(otherwise)))
    leaves = tf.nest.flatten(like[0])
    plain = [
        None if g is None or isinstance(g, Entry) else _with_values(g, next(chosen)) for g in leaves
    ]
    new = dict(zip(_wholes(leaves), chosen, strict=True))
    leaves = [
        Entry(new[id(g.whole)], g.index) if isinstance(g, Entry) else each
        for g, each in zip(leaves, plain, strict=True)
    ]
    return tf.nest.pack_sequence_as(like[0], leaves)


def _wholes(leaves: list[Any]) -> dict[int, Tensor]:
    """What entries are of, each once, by identity."""
    return {id(g.whole): g.whole for g in leaves if isinstance(g, Entry)}


def _with_values(gradient: Tensor, new: Tensor) -> Tensor:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(new, gradient.indices, gradient.dense_shape)
    return new


def stack(rows: Sequence[Row]) -> Stack:
    """The gradients of all tasks in one array a thing, zero where a task does not reach it.

    Joined once, they serve the Gramian and the weighted sum as matrix products: fewer passes
    over memory than products of pairs.
    """
    stacked = []
    for column in zip(*rows, strict=True):
        flat = [None if g is None else tf.reshape(dense(g), (-1,)) for g in column]
        like = next(each for each in flat if each is not None)
        stacked.append(tf.stack([tf.zeros_like(like) if g is None else g for g in flat]))
    return stacked


def gramian(stacked: Stack, others: Stack | None = None) -> Tensor:
    """Inner products `[K, K]` of the tasks' gradients, with themselves or with others."""
    pairs = zip(stacked, stacked if others is None else others, strict=True)
    return tf.add_n([tf.matmul(each, other, transpose_b=True) for each, other in pairs])


def combine(weights: Tensor, stacked: Stack, like: Sequence[Tensor]) -> list[Tensor]:
    """The weighted sum of the tasks' gradients, shaped like the things."""
    sums = [tf.matmul(weights[None, :], each) for each in stacked]
    return [tf.reshape(each, tf.shape(thing)) for each, thing in zip(sums, like, strict=True)]


def split_like(direction: Tensor, things: Sequence[Tensor]) -> list[Tensor]:
    """Cuts a direction `[n]` over all things joined into a tensor for each."""
    sizes = [tf.size(thing) for thing in things]
    parts = tf.split(direction, sizes, num=len(sizes))
    return [tf.reshape(part, tf.shape(thing)) for part, thing in zip(parts, things, strict=True)]


def weighted_sum(weights: Tensor | None, rows: Sequence[Row]) -> Row:
    """The sum of the tasks' gradients, times their weights: a tensor for each thing."""
    sums: Row = []
    for column in zip(*rows, strict=True):
        terms = {k: dense(gradient) for k, gradient in enumerate(column) if gradient is not None}
        if weights is not None:
            terms = {k: weights[k] * gradient for k, gradient in terms.items()}
        sums.append(tf.add_n(list(terms.values())) if terms else None)
    return sums


def sum_of_finite(
    weights: Tensor | None, rows: list[Row], towers: list[Row], sizes: Sequence[int]
) -> tuple[Row, list[Row], Tensor]:
    """As `weighted_sum`, without the tasks whose gradients are not finite.

    What is not finite makes the sum so: in a healthy step this costs one look at the sum.

    Args:
        weights: Weights `[K]`; `None` for ones.
        rows: The tasks' gradients.
        towers: Gradients of their own variables, looked at where `rows` holds none.
        sizes: How many losses each task has.

    Returns:
        The sum; the towers', zero for tasks that are not finite; and whose gradients are finite
        on all replicas, bool `[K]`.
    """
    total = weighted_sum(weights, rows)
    looked_at = rows if present(total) else towers
    ones = tf.ones(len(rows), tf.bool)

    def each() -> Tensor:
        return of_tasks(tf.stack([_is_finite(present(row)) for row in looked_at]), sizes)

    healthy = _is_finite(present(total) or [g for row in towers for g in present(row)])
    finite = None
    if num_replicas() > 1:
        finite = tf.cond(healthy, lambda: ones, each)
        finite = tf.equal(sum_over_replicas(tf.cast(~finite, tf.float32)), 0.0)
        healthy = tf.reduce_all(finite)

    def careful() -> tuple[Row, list[Row], Tensor]:
        which = each() if finite is None else finite
        kept = weighted_sum(weights, zero_rows(~which, rows))
        return kept, zero_rows(~which, towers), which

    return tuple(branch(healthy, lambda: (total, towers, ones), careful))


def of_tasks(finite: Tensor, sizes: Sequence[int]) -> Tensor:
    """Whether all losses of a task are finite, for each of its losses: columns share a tower."""
    if max(sizes) == 1:
        return finite
    return tf.concat(
        [tf.repeat(tf.reduce_all(part), tf.size(part)) for part in tf.split(finite, sizes)], 0
    )


def _is_finite(gradients: list[Tensor]) -> Tensor:
    sums = [tf.reduce_sum(tf.cast(values(g), tf.float32)) for g in gradients]
    return tf.math.is_finite(tf.add_n(sums)) if sums else tf.constant(True)


def nearest_weights(gramian: Tensor, products: Tensor) -> Tensor:
    """Weights `[K]` whose sum of gradients comes nearest to a direction.

    Args:
        gramian: Inner products `[K, K]` of the gradients.
        products: Inner products `[K]` of the gradients with the direction.
    """
    scale = tf.sqrt(tf.linalg.diag_part(gramian))
    scale = tf.where(scale > 0.0, scale, tf.ones_like(scale))
    cosines = gramian / (scale[:, None] * scale[None, :])
    cosines += 1e-6 * tf.eye(cosines.shape[0])  # equal gradients share the weight
    return tf.linalg.solve(cosines, (products / scale)[:, None])[:, 0] / scale
