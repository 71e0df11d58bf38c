"""Labels that fit a prediction, and the weight of each label."""

from keras import ops

from keras_mtl._backend import require
from keras_mtl._keras_internals import mask_of
from keras_mtl._types import Tensor


def align_labels(labels: Tensor, prediction: Tensor, elementwise: bool) -> Tensor:
    """Gives labels the rank that a Keras loss compares with `prediction`.

    Labels of shape `(batch,)` against predictions `(batch, 1)` would broadcast to
    `(batch, batch)` in a `keras.losses.Loss` subclass, without an error; so would labels
    `(batch, 1)` against predictions `(batch,)`.
    """
    rank = len(prediction.shape)
    if len(labels.shape) == rank - 1 and (prediction.shape[-1] == 1 or elementwise):
        labels = ops.expand_dims(labels, -1)
    elif len(labels.shape) == rank + 1 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    return labels


def label_weights(
    values: Tensor, prediction: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    """Returns the weight of each label: its sample weight times the prediction's mask.

    Args:
        values: One value per label; gives the shape of the weights.
        prediction: The prediction, whose mask is used where it has one.
        sample_weight: `None` for ones, or weights with the first axes of `values`, such as
            `(batch,)`, or with further axes, over which `whole_weights` decides.

    Returns:
        Float32 weights of the shape of `values`; 0 where a label is missing.
    """
    ones = ops.ones_like(values, dtype="float32")
    weights = unit_weights(len(values.shape), prediction, sample_weight)
    return ones if weights is None else ones * weights


def unit_weights(
    rank: int, prediction: Tensor, sample_weight: Tensor | None, *, padded: bool = False
) -> Tensor | None:
    """Returns the weights of the units that a loss has values of: entries, rows or examples.

    Args:
        rank: The number of axes of the units, the batch among them.
        prediction: The prediction, whose mask is used where it has one.
        sample_weight: `None`, or weights with fewer axes or with more.
        padded: As in `whole_weights`.

    Returns:
        Float32 weights of `rank` axes, some of which may have length 1; `None` without weights
        and mask.

    Raises:
        ValueError: If the prediction's mask has more axes than the units.
    """
    weights = None
    if sample_weight is not None:
        weights = ops.cast(sample_weight, "float32")
        while len(weights.shape) > rank:
            if weights.shape[-1] == 1:
                weights = ops.squeeze(weights, -1)  # (batch, 1) beside values (batch,)
            else:
                weights = whole_weights(weights, padded=padded)
        weights = expand_to(weights, rank)
    mask = mask_of(prediction)
    if mask is None:
        return weights
    if len(mask.shape) > rank and mask.shape[-1] == 1:
        mask = ops.squeeze(mask, -1)
    if len(mask.shape) > rank:
        raise ValueError(
            f"the prediction has a mask of shape {tuple(mask.shape)}, and the loss has one value "
            "per example, in which masked positions would count. Use a loss with one value per "
            "position, or end the network in a layer that has no mask."
        )
    mask = expand_to(ops.cast(mask, "float32"), rank)
    return mask if weights is None else weights * mask


def whole_weights(
    weights: Tensor, *, padded: bool = False, axis: int | tuple[int, ...] | None = -1
) -> Tensor:
    """Returns one weight for labels that a loss reads together.

    They count if all of them are valid, with the weight that they have in common. Weights that
    differ have no meaning there: the step stops, or the weight is NaN where it cannot be stopped.

    Args:
        weights: Weights of single labels, 0 for those that are missing.
        padded: Whether they count if any of them is valid. Defaults to `False`.
        axis: The axes along which labels are read together; `None` for all. Defaults to `-1`.
    """
    valid = ops.not_equal(weights, 0.0)
    present = ops.any(valid, axis=axis) if padded else ops.all(valid, axis=axis)
    highest = ops.max(ops.where(valid, weights, -float("inf")), axis=axis)
    lowest = ops.min(ops.where(valid, weights, float("inf")), axis=axis)
    uneven = ops.logical_and(present, ops.greater(highest, lowest))
    require(
        ops.logical_not(ops.any(uneven)),
        "a loss that reads several labels together takes weights that are equal or 0 among them; "
        "give one weight per example, or a loss with one value per label.",
    )
    return ops.where(uneven, float("nan"), ops.where(present, highest, 0.0))


def expand_to(tensor: Tensor, rank: int) -> Tensor:
    """Returns a tensor with axes of length 1 at the end, so that it has `rank` axes."""
    for _ in range(rank - len(tensor.shape)):
        tensor = ops.expand_dims(tensor, -1)
    return tensor
