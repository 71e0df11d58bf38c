"""The nearest numbers by which a rule holds, in operations that every format of export has."""

from collections.abc import Sequence

from keras import ops

from keras_mtl._types import Tensor


def nearest_falling(values: Sequence[Tensor]) -> list[Tensor]:
    """Returns the nearest numbers that do not rise from one to the next, by squared distance.

    With m(s, t) the mean of the values s to t, x_i = min over s <= i of max over t >= i of m(s, t):
    the formula of isotonic regression, without a search.
    """
    sums = [values[0] * 0.0]
    for value in values:
        sums.append(sums[-1] + value)
    results = []
    for i in range(len(values)):
        highest = []
        for s in range(i + 1):
            means = [(sums[t + 1] - sums[s]) / (t + 1 - s) for t in range(i, len(values))]
            highest.append(ops.max(ops.stack(means), axis=0))
        results.append(ops.min(ops.stack(highest), axis=0))
    return results


def lowest_so_far(values: Sequence[Tensor]) -> list[Tensor]:
    """Returns the smallest of each value and all before it."""
    results = [values[0]]
    for value in values[1:]:
        results.append(ops.minimum(results[-1], value))
    return results


def nearest_on_simplex(values: Tensor) -> Tensor:
    """Returns the nearest numbers that are not negative and add up to 1, by squared distance.

    x = max(v - theta, 0). The sum over the k largest values, minus 1, divided by k, is largest for
    the k that are not cut off, and is theta then; so no sorting is needed.

    Args:
        values: `[rows, n]`.
    """
    at_least = ops.cast(values[:, None, :] >= values[:, :, None], values.dtype)
    sums = ops.sum(at_least * values[:, None, :], axis=-1)
    theta = ops.max((sums - 1.0) / ops.sum(at_least, axis=-1), axis=-1, keepdims=True)
    return ops.maximum(values - theta, 0.0)


def normalized(values: Tensor) -> Tensor:
    """Returns numbers divided by their sum, `[rows, n]`; equal ones where the sum is 0."""
    total = ops.sum(values, axis=-1, keepdims=True)
    equal = ops.ones_like(values) / values.shape[-1]
    return ops.where(total > 0, values / ops.where(total > 0, total, 1.0), equal)
