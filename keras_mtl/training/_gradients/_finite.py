"""Gradients without those of tasks that are not finite; hardly any work in a healthy step."""

import itertools
from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._branch import branch
from keras_mtl.training._gradients._gradient import Gradient, Row, existing
from keras_mtl.training._gradients._gramian import StackedGradients
from keras_mtl.training._gradients._rows import runs, weighted_sum, zero_rows

_SHORT = 4096  # numbers: longer arrays are summed where they are, without a copy


def keep_finite(
    finite: Tensor, stacked: StackedGradients, rows: list[Row]
) -> tuple[StackedGradients, list[Row]]:
    """Returns gradients with zeros for the losses that are not finite.

    Args:
        finite: Whose gradients are finite, bool `[K]`.
        stacked: Gradients in arrays `[K, n]`; may be none.
        rows: More gradients, one row per loss; may hold none.
    """
    # A branch of nothing would be an error.
    if not stacked and not any(existing(row) for row in rows):
        return stacked, rows

    def without() -> tuple[StackedGradients, list[Row]]:
        kept = [tf.where(finite[:, None], array, tf.zeros_like(array)) for array in stacked]
        return kept, zero_rows(~finite, rows)

    return tuple(branch(tf.reduce_all(finite), lambda: (stacked, rows), without))


def sum_of_finite(
    weights: Tensor | None,
    rows: list[Row],
    towers: list[Row],
    usable: Tensor,
    sizes: Sequence[int],
    replicas: Replicas,
) -> tuple[Row, list[Row], Tensor]:
    """Sums gradients as `weighted_sum` does, without those of tasks that are not finite.

    A gradient that is not finite makes the sum not finite. So a healthy step costs one look at the
    sum; only another one looks at the gradients of each loss.

    Args:
        weights: Weights `[K]`; `None` for ones.
        rows: The gradients, one row per loss.
        towers: Gradients of the tasks' own variables.
        usable: Whose `towers` are finite on this replica, bool `[K]`: see `finite_towers`.
        sizes: How many losses each task has.
        replicas: The replicas that have to agree.

    Returns:
        The sum; the towers' gradients, zero for tasks that are not finite; and whose gradients
        are finite on all replicas, bool `[K]`.
    """
    return sum_of_terms(
        lambda: weighted_sum(weights, rows),
        lambda: all_columns(finite_rows(rows), sizes),
        lambda which: weighted_sum(weights, zero_rows(which, rows)),
        towers,
        usable,
        replicas,
    )


def sum_of_terms(
    summed: Callable[[], Row],
    finite_terms: Callable[[], Tensor],
    summed_without: Callable[[Tensor], Row],
    towers: list[Row],
    usable: Tensor,
    replicas: Replicas,
) -> tuple[Row, list[Row], Tensor]:
    """Returns the result of `sum_of_finite` for gradients in any form.

    Args:
        summed: Returns the sum of all gradients.
        finite_terms: Returns whose gradients are finite, bool `[K]`.
        summed_without: Returns the sum without those of some losses, bool `[K]`.
        towers, usable, replicas: As for `sum_of_finite`.
    """
    total = summed()
    all_finite = tf.ones(usable.shape, tf.bool)

    def by_loss() -> Tensor:
        return finite_terms() & usable

    healthy = is_finite(existing(total)) & tf.reduce_all(usable)
    finite = None
    if replicas.count > 1:  # no collective inside of the branch (docs/keras_notes.md, pain 78)
        finite = replicas.all_true(tf.cond(healthy, lambda: all_finite, by_loss))
        healthy = tf.reduce_all(finite)

    def careful() -> tuple[Row, list[Row], Tensor]:
        which = by_loss() if finite is None else finite
        return summed_without(~which), zero_rows(~which, towers), which

    return tuple(branch(healthy, lambda: (total, towers, all_finite), careful))


def finite_towers(towers: list[Row], sizes: Sequence[int]) -> Tensor:
    """Returns whose towers have finite gradients on this replica, bool `[K]`.

    The gradient at the entrance of a tower does not tell: a ReLU takes a NaN of its input for a
    number below 0, and only the kernel before it has the NaN in its gradient
    (docs/keras_notes.md, pain 116).
    """
    return all_columns(finite_rows(towers), sizes)


def finite_part(matrix: Tensor, usable: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Returns a Gramian with zeros for tasks that are not finite, and whose are, bool `[K]`.

    Args:
        matrix: The Gramian `[K, K]` of all replicas.
        usable: Whose towers have finite gradients on all replicas, bool `[K]`.
        sizes: How many losses each task has.
    """
    # A gradient that is not finite has a squared length that is not, too.
    finite = all_columns(tf.math.is_finite(tf.linalg.diag_part(matrix)), sizes) & usable
    both = finite[:, None] & finite[None, :]
    return tf.where(both, matrix, tf.zeros_like(matrix)), finite


def is_finite_sum(weights: Tensor, matrix: Tensor) -> Tensor:
    """Returns whether a weighted sum of gradients is finite, without a look at the sum.

    No entry of it is larger than the weighted sum of the lengths.

    Args:
        weights: Weights `[K]`.
        matrix: The Gramian `[K, K]` of gradients that are finite.
    """
    lengths = tf.sqrt(tf.linalg.diag_part(matrix))
    return tf.math.is_finite(tf.reduce_sum(tf.abs(weights) * lengths))


def all_columns(finite: Tensor, sizes: Sequence[int]) -> Tensor:
    """Returns for each loss, bool `[K]`, whether all losses of its task are finite.

    Columns of a task share a tower, so that one broken column breaks the others.
    """
    if max(sizes) == 1:
        return finite
    of_tasks = tf.split(finite, sizes)
    return tf.concat([tf.repeat(tf.reduce_all(flags), tf.size(flags)) for flags in of_tasks], 0)


def finite_rows(rows: Sequence[Row]) -> Tensor:
    """Returns whose gradients are finite, bool `[K]`; checks the entries of an array at once."""
    finite = tf.math.is_finite(tf.stack([_sum([g for g in row if g.stands_alone]) for row in rows]))
    if not any(gradient.is_entry for row in rows for gradient in row):
        return finite
    for column in itertools.zip_longest(*rows, fillvalue=Gradient()):
        entries = [gradient if gradient.is_entry else Gradient() for gradient in column]
        flags = [
            tf.ones(len(losses), tf.bool)
            if array is None
            else tf.math.is_finite(tf.reduce_sum(array, axis=1))
            for losses, array in runs(entries)
        ]
        finite &= tf.concat(flags, axis=0)
    return finite


def is_finite(gradients: Row) -> Tensor:
    """Returns whether all gradients are finite: their sum is not, if one of its terms is not."""
    return tf.math.is_finite(_sum(gradients))


def _sum(gradients: Row) -> Tensor:
    """Returns the sum of all numbers; short arrays are put side by side and summed at once.

    The time of a small network is that of the number of operations.
    """
    values = [gradient.values for gradient in gradients]
    if not values:
        return tf.zeros(())
    short = [array for array in values if array.shape.num_elements() in range(_SHORT)]
    together = {
        dtype: [_flat(array) for array in short if array.dtype == dtype]
        for dtype in dict.fromkeys(array.dtype for array in short)
    }
    long = [array for array in values if array.shape.num_elements() not in range(_SHORT)]
    joined = [tf.concat(arrays, axis=0) for arrays in together.values()]
    sums = [tf.reduce_sum(tf.cast(array, tf.float32)) for array in [*joined, *long]]
    return tf.add_n(sums)


def _flat(array: Tensor) -> Tensor:
    return array if array.shape.rank == 1 else tf.reshape(array, (-1,))
