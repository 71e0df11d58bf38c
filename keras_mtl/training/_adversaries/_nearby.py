"""Small steps in the inputs, of which each example has one of its own."""

import tensorflow as tf

from keras_mtl._types import Tensor

NORMS = (2, "inf")


def along(gradient: Tensor, norm: float | str) -> Tensor:
    """Returns for each example the step of length 1 along which a linear function rises most.

    Entries that are not finite (behind an input that is missing) count as 0, and so does an
    example without a gradient.

    Args:
        gradient: The gradient of each example, `[rows, ...]`, in float32.
        norm: In which norm the length is 1: 2 or "inf".
    """
    gradient = tf.where(tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient))
    if norm == "inf":
        return tf.sign(gradient)
    # Squares of small gradients would be 0 in float32, so the largest entry is divided out first.
    gradient = tf.math.divide_no_nan(gradient, largest(gradient))
    return tf.math.divide_no_nan(gradient, lengths(gradient))


def within(step: Tensor, epsilon: float, norm: float | str) -> Tensor:
    """Returns the steps, of which those longer than epsilon are shortened to it."""
    if norm == "inf":
        return tf.clip_by_value(step, -epsilon, epsilon)
    return step * (epsilon / tf.maximum(lengths(step), epsilon))


def lengths(tensor: Tensor) -> Tensor:
    """Returns the length of each example's entries, in a shape that broadcasts."""
    axes = range(1, tensor.shape.rank)
    return tf.sqrt(tf.reduce_sum(tf.square(tensor), axis=axes, keepdims=True))


def largest(tensor: Tensor) -> Tensor:
    """Returns the largest magnitude of each example's entries, in a shape that broadcasts."""
    return tf.reduce_max(tf.abs(tensor), axis=range(1, tensor.shape.rank), keepdims=True)
