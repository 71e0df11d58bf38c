"""Labels that fit a prediction, and the weight of each label."""

from keras import ops

from keras_mtl._keras_internals import mask_of
from keras_mtl._types import Tensor


def align_labels(labels: Tensor, prediction: Tensor, elementwise: bool) -> Tensor:
    """Gives labels the rank that a Keras loss compares with `prediction`.

    Labels of shape `(batch,)` against predictions `(batch, 1)` would broadcast to
    `(batch, batch)` in a `keras.losses.Loss` subclass, without an error.
    """
    rank = len(prediction.shape)
    if len(labels.shape) == rank - 1 and (prediction.shape[-1] == 1 or elementwise):
        labels = ops.expand_dims(labels, -1)
    return labels


def label_weights(
    values: Tensor, prediction: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """Returns the weight of each label: its sample weight times the prediction's mask.

    Args:
        values: One value per label; gives the shape of the weights.
        prediction: The prediction, whose mask is used where it has one.
        sample_weight: `None` for ones, or weights with the first axes of `values`, such as
            `(batch,)`, or with one more axis of length 1.

    Returns:
        Float32 weights of the shape of `values`; 0 where a label is missing.
    """
    weights = ops.ones_like(values, dtype="float32")
    mask = mask_of(prediction)
    for factor in (sample_weight, mask):
        if factor is None:
            continue
        factor = ops.cast(factor, "float32")
        if len(factor.shape) > len(values.shape):
            factor = ops.squeeze(factor, -1)  # (batch, 1) beside values (batch,)
        for _ in range(len(values.shape) - len(factor.shape)):
            factor = ops.expand_dims(factor, -1)
        weights = weights * factor
    return weights
