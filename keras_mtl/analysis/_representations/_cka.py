"""The Hilbert-Schmidt independence criterion of linear kernels."""

from collections.abc import Sequence

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray


def sum_hsic(arrays: Sequence[FloatArray], batch_size: int) -> FloatArray:
    """Returns the unbiased HSIC of all pairs, summed over batches of rows, `[K, K]`.

    Args:
        arrays: Representations of the same rows, each `[n, features]`.
        batch_size: Rows per batch. A rest of fewer than four rows is left out.
    """
    total = np.zeros((len(arrays), len(arrays)))
    num_rows = len(arrays[0])
    for start in range(0, num_rows, batch_size):
        kernels = [_kernel(array[start : start + batch_size]) for array in arrays]
        if len(kernels[0]) >= 4:
            total += _unbiased_hsic(kernels)
    return total


def _kernel(array: FloatArray) -> FloatArray:
    """Returns inner products of rows, with the zero diagonal that makes the estimate unbiased."""
    kernel = array @ array.T
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel)


def _unbiased_hsic(kernels: Sequence[FloatArray]) -> FloatArray:
    """Returns Song's estimate for all pairs of kernels, `[K, K]`."""
    n = len(kernels[0])
    flat = np.stack([kernel.ravel() for kernel in kernels])
    sums = np.stack([kernel.sum(axis=0) for kernel in kernels])
    totals = sums.sum(axis=1)
    # Kernels are symmetric, so tr KL is the inner product of their entries.
    value = flat @ flat.T + np.outer(totals, totals) / ((n - 1) * (n - 2))
    return np.asarray((value - 2 / (n - 2) * sums @ sums.T) / (n * (n - 3)))


def biased_cka(arrays: Sequence[FloatArray]) -> FloatArray:
    """Returns |Y'X|^2 / (|X'X| |Y'Y|) of centered representations (Frobenius norms), `[K, K]`."""
    result = np.full((len(arrays), len(arrays)), np.nan)
    for first, x in enumerate(arrays):
        for second, y in enumerate(arrays[: first + 1]):
            result[first, second] = result[second, first] = np.sum((y.T @ x) ** 2)
    selves = np.sqrt(np.diagonal(result).copy())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(result / np.outer(selves, selves))
