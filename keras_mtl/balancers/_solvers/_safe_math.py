"""Functions of a few losses that stay finite, with finite derivatives, for any of them."""

from keras import ops

from keras_mtl._types import Tensor

LEAST = 1e-30
"""Losses at or below it count as solved where a rule takes their logarithm or inverse."""


def log_of(losses: Tensor) -> Tensor:
    """The logarithms of losses; constant, with derivative 0, at and below `LEAST`."""
    return ops.log(ops.maximum(losses, LEAST))


def softmax(values: Tensor) -> Tensor:
    """Softmax over all entries; `ops.softmax` warns where one task is alone in a step."""
    # Not exp(values - logsumexp): the sum is lost to rounding where values are huge.
    powers = ops.exp(values - ops.max(values))
    return powers / ops.sum(powers)


def length(values: Tensor) -> Tensor:
    """The Euclidean length, whose squares neither overflow nor vanish; derivative 0 at 0."""
    largest = ops.stop_gradient(ops.maximum(ops.max(ops.abs(values)), LEAST))
    squares = ops.sum(ops.square(values / largest))
    return largest * ops.sqrt(ops.maximum(squares, 1e-6))


def shares_of(preference: Tensor) -> Tensor:
    """A preference of the tasks that take part, brought to sum 1."""
    return preference / ops.maximum(ops.sum(preference), LEAST)
