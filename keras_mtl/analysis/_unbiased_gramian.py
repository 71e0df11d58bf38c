"""The Gramian of the gradients without the noise that tasks share."""

from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers


def unbiased_gramian(first: Any, second: Any) -> FloatArray:
    """Computes the Gramian from gradients of two disjoint half batches a and b.

        G_ij = (g_i^a . g_j^b + g_i^b . g_j^a) / 2

    The noise of the two halves is independent, so the mean of G over steps is the Gramian of the
    true gradients. The Gramian of one batch is not: the gradients of all tasks come from the same
    rows, and the noise of these rows adds to every entry. (Where the true cosine was 0.339, that of
    the same batch was 0.439, and that of halves 0.338.)

    Choose it to measure conflict. One G is noisy and its diagonal may be negative, which says that
    the gradient is smaller than its noise: average over some dozens of steps (`gramian_statistics`
    does so with a stack) before cosines are taken. Do not choose it for a balancer, whose rules
    expect a positive semi-definite matrix.

    Args:
        first: The gradients of the first half, `[K, n]` or `[steps, K, n]`. NaN in the whole row of
            an absent task.
        second: Those of the second half, of the same shape.

    Returns:
        G, `[K, K]` or `[steps, K, K]`. The row and column of a task that is absent from one of the
        halves are NaN.

    Raises:
        TypeError: If an entry is no number.
        ValueError: If the shapes differ, or have another number of axes.

    Example:
        >>> unbiased_gramian([[1, 0], [0, 2]], [[3, 1], [1, 1]])
        array([[3. , 1.5],
               [1.5, 2. ]])

    Reference:
        Not from a paper of multi-task learning: cross products of independent halves, as in
        cross-validated estimates of distances.
    """
    halves = [read_numbers(first, "first"), read_numbers(second, "second")]
    if halves[0].shape != halves[1].shape or halves[0].ndim not in (2, 3):
        raise ValueError(
            f"first has shape {halves[0].shape} and second {halves[1].shape}; expected one shape, "
            "(tasks, n) or (steps, tasks, n)."
        )
    absent = np.asarray((np.isnan(halves[0]) | np.isnan(halves[1])).any(axis=-1))
    a, b = (np.where(absent[..., None], 0.0, half) for half in halves)
    product = a @ b.swapaxes(-1, -2)
    gramian: FloatArray = (product + product.swapaxes(-1, -2)) / 2
    gramian[absent[..., :, None] | absent[..., None, :]] = np.nan
    return gramian
