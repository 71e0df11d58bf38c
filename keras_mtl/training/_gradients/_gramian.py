"""Gradients of several tasks with respect to the same things, and their inner products."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._variable_slice import Entry, change_rows

Row: TypeAlias = list[Tensor | None]
"""One task's gradients, a tensor for each thing; `None` where the task does not reach it."""

Stack: TypeAlias = list[Tensor]
"""The gradients of all tasks: an array `[K, n]` for each thing."""

_MANY = 128  # rows, from which on half of their products are worth their blocks
_BLOCKS = 4


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
        lambda places, whole: without(along_first(tf.gather(which, places), whole), whole),
    )


def scale_rows(weights: Tensor, rows: list[Row]) -> list[Row]:
    """The gradients of each task times its weight."""

    def scaled(places: list[int], whole: Tensor) -> Tensor:
        return whole * tf.cast(along_first(tf.gather(weights, places), whole), whole.dtype)

    return change_rows(rows, lambda k, gradient: times(weights[k], gradient), scaled)


def along_first(numbers: Tensor, like: Tensor) -> Tensor:
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
        arrays = [array for _, array in _runs(column)]
        zeros = tf.zeros_like(next(each for each in arrays if each is not None)[:1])
        stacked.append(tf.concat([zeros if each is None else each for each in arrays], axis=0))
    return stacked


def _runs(column: Sequence[Tensor | None]) -> list[tuple[list[int], Tensor | None]]:
    """The tasks' gradients with respect to one thing, as arrays `[m, n]` of several at a time.

    Entries of one array stay together; others, and tasks without a gradient, stand alone.
    """
    runs: list[tuple[list[int], list[Tensor | None]]] = []
    for k, g in enumerate(column):
        last = runs[-1][1][-1] if runs else None
        if isinstance(g, Entry) and isinstance(last, Entry) and g.whole is last.whole:
            runs[-1][0].append(k)
            runs[-1][1].append(g)
        else:
            runs.append(([k], [g]))
    return [(places, _joined(run)) for places, run in runs]


def _joined(run: list[Tensor | None]) -> Tensor | None:
    first = run[0]
    if first is None:
        return None
    if not isinstance(first, Entry):
        return tf.reshape(dense(first), (1, -1))
    order = [entry.index for entry in run if isinstance(entry, Entry)]
    whole = (
        first.whole if order == list(range(first.whole.shape[0])) else tf.gather(first.whole, order)
    )
    return tf.reshape(tf.cast(whole, tf.float32), (len(order), -1))


def gramian(stacked: Stack, others: Stack | None = None) -> Tensor:
    """Inner products `[K, K]` of the tasks' gradients, with themselves or with others."""
    if others is None and stacked[0].shape[0] >= _MANY:
        return tf.add_n([_symmetric(each) for each in stacked])
    pairs = zip(stacked, stacked if others is None else others, strict=True)
    return tf.add_n([tf.matmul(each, other, transpose_b=True) for each, other in pairs])


def squared_lengths(stacked: Stack) -> Tensor:
    """The diagonal of `gramian` alone, `[K, K]` with zeros beside it."""
    if stacked[0].shape[0] < _MANY:  # one product of all reads them fastest
        return tf.linalg.diag(tf.linalg.diag_part(gramian(stacked)))
    # A product a row: squares summed up would need a copy of all.
    products = [tf.matmul(each[:, None, :], each[:, :, None])[:, 0, 0] for each in stacked]
    return tf.linalg.diag(tf.add_n(products))


def _symmetric(rows: Tensor) -> Tensor:
    """The products of many rows with each other, little more than half of which are computed."""
    count = rows.shape[0]
    size = -(-count // _BLOCKS)
    upper = [
        tf.pad(tf.matmul(rows[i : i + size], rows[i:], transpose_b=True), [[0, 0], [i, 0]])
        for i in range(0, count, size)
    ]
    triangle = tf.linalg.band_part(tf.concat(upper, axis=0), 0, -1)
    return (
        triangle
        + tf.linalg.band_part(tf.transpose(triangle), -1, 0)
        - tf.linalg.diag(tf.linalg.diag_part(triangle))
    )


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
        terms: list[Tensor] = []
        like = next((values(g) for g in column if g is not None), None)
        for k, g in enumerate(column):
            if g is not None and not isinstance(g, Entry):
                terms.append(dense(g) if weights is None else weights[k] * dense(g))
        if any(isinstance(g, Entry) for g in column):
            entries = [g if isinstance(g, Entry) else None for g in column]
            for places, array in _runs(entries):
                if array is not None:
                    own = tf.ones(len(places)) if weights is None else tf.gather(weights, places)
                    terms.append(tf.reshape(tf.matmul(own[None, :], array), tf.shape(like)))
        sums.append(tf.add_n(terms) if terms else None)
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
        return of_tasks(_finite_rows(looked_at), sizes)

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


def _finite_rows(rows: Sequence[Row]) -> Tensor:
    """Whose gradients are finite, bool `[K]`; entries of one array are looked at together."""
    alone = [[g for g in present(row) if not isinstance(g, Entry)] for row in rows]
    finite = tf.stack([_is_finite(own) for own in alone])
    if not any(isinstance(g, Entry) for row in rows for g in row):
        return finite
    for column in itertools.zip_longest(*rows):
        entries = [g if isinstance(g, Entry) else None for g in column]
        flags = [
            tf.ones(len(places), tf.bool)
            if array is None
            else tf.math.is_finite(tf.reduce_sum(array, axis=1))
            for places, array in _runs(entries)
        ]
        finite &= tf.concat(flags, axis=0)
    return finite


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
