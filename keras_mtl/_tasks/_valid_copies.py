"""Labels and predictions in which nothing is missing, so that a loss can be evaluated on all.

A loss of a missing label counts 0 times. That is not enough: 0 times infinity is NaN, and so is
the gradient, where the loss takes the logarithm of what stands in the place of the label.
"""

from keras import ops

from keras_mtl._keras_internals import logits_of, with_logits
from keras_mtl._tasks._label_weights import expand_to
from keras_mtl._types import Tensor


def blank_labels(labels: Tensor, weights: Tensor) -> Tensor:
    """Returns labels that are 0 where their weight is, for losses that are finite there.

    Args:
        labels: Labels.
        weights: Weights of as many axes as the labels, or fewer.
    """
    labels = ops.convert_to_tensor(labels)
    valid = expand_to(ops.not_equal(weights, 0.0), len(labels.shape))
    return ops.where(valid, labels, ops.zeros_like(labels))


def copy_valid(labels: Tensor, prediction: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Returns labels and predictions that are those of a valid unit where the weight is 0.

    What a user's loss takes is not known, but it takes the labels that are there. No gradient
    passes to the copies. Without any valid label the first unit stands in their place.

    Args:
        labels: Labels.
        prediction: The prediction.
        weights: Weights `(batch,)` of examples, `(batch, time)` of positions, ... or of entries.
    """
    valid = ops.not_equal(weights, 0.0)
    rank = len(valid.shape)
    units = ops.ones_like(prediction, dtype="bool")
    for _ in range(len(prediction.shape) - rank):
        units = units[..., 0]
    valid = ops.logical_and(valid, units)  # weights may have axes of length 1
    first = ops.argmax(ops.cast(ops.reshape(valid, (-1,)), "int32"))

    def fill(tensor: Tensor) -> Tensor:
        tensor = ops.convert_to_tensor(tensor)
        # One row per unit. The axes of a unit are not flattened, and may be of unknown length.
        rows = tensor if rank == 1 else ops.reshape(tensor, (-1, *tensor.shape[rank:]))
        copy = ops.stop_gradient(ops.take(rows, first, axis=0))
        return ops.where(expand_to(valid, len(tensor.shape)), tensor, copy)

    logits = logits_of(prediction)
    filled = fill(prediction)
    return fill(labels), with_logits(filled, None if logits is None else fill(logits))
