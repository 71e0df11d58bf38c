"""Sequences with masked positions, for CTC: Keras's loss takes all of them to be of full length."""

from keras import ops

from keras_mtl._keras_internals import mask_of
from keras_mtl._types import Tensor

_IMPOSSIBLE = -1e9  # a logit


def blank_masked_frames(prediction: Tensor) -> Tensor:
    """Returns logits that are sure of the blank, class 0, where a position is masked.

    A path through the sequence then emits nothing there, so that the loss is that of the sequence
    without its masked end. No gradient passes to masked positions.

    Args:
        prediction: Logits `(batch, time, classes)`.
    """
    mask = mask_of(prediction)
    if mask is None:
        return prediction
    is_blank = ops.arange(prediction.shape[-1]) == 0
    blank = ops.where(is_blank, 0.0, _IMPOSSIBLE)
    return ops.where(ops.expand_dims(mask, -1), prediction, ops.cast(blank, prediction.dtype))
