"""Functions of a few losses that stay finite, with finite derivatives, for all finite losses."""

from keras import ops

from keras_mtl._types import Tensor

SMALLEST_LOSS = 1e-30
"""Losses at or below it count as solved where a rule takes their logarithm or inverse."""

_TINY = 1e-30


def log_of(losses: Tensor) -> Tensor:
    """Returns the logarithms of losses; constant, with derivative 0, up to `SMALLEST_LOSS`."""
    return ops.log(ops.maximum(losses, SMALLEST_LOSS))


def softmax(values: Tensor) -> Tensor:
    """Returns the softmax over all entries; `ops.softmax` warns where one task is alone."""
    # Not exp(values - logsumexp): the sum is lost to rounding where values are huge.
    powers = ops.exp(values - ops.max(values))
    return powers / ops.sum(powers)


def length(values: Tensor) -> Tensor:
    """Returns the Euclidean length; no square overflows or vanishes. Derivative 0 at 0."""
    largest = ops.stop_gradient(ops.maximum(ops.max(ops.abs(values)), _TINY))
    # The sum is 1 or more unless all values are (next to) 0: then the bound, not a root of 0
    # with its infinite derivative.
    squares = ops.sum(ops.square(values / largest))
    return largest * ops.sqrt(ops.maximum(squares, 1e-6))


def shares_of(preference: Tensor) -> Tensor:
    """Scales a preference of the active tasks to sum 1."""
    return preference / ops.maximum(ops.sum(preference), _TINY)


__all__ = ["SMALLEST_LOSS", "length", "log_of", "shares_of", "softmax"]
