"""Losses that have one value for many labels: of the batch, or of set overlaps.

Keras computes such a loss of all examples, also of those that weigh 0, and on each replica apart
(docs/keras_notes.md, 102).
"""

import keras
from keras import ops

from keras_mtl._backend import take_rows
from keras_mtl._keras_internals import logits_of, mask_of, with_logits
from keras_mtl._replicas import current_replicas
from keras_mtl._tasks._known_losses import argument_of
from keras_mtl._tasks._label_weights import unit_weights, whole_weights
from keras_mtl._tasks._valid_copies import blank_labels
from keras_mtl._types import Tensor


def total_of_batch(
    loss: keras.losses.Loss, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Computes a loss over the batch from the valid examples of all replicas, and of them alone.

    Args:
        loss: The loss.
        y_true: Labels of this replica.
        y_pred: Predictions of this replica.
        sample_weight: `None`, or weights, which must be 0 or equal: of a loss over the batch one
            example cannot count twice.

    Returns:
        The loss times the number of this replica's valid examples, and that number.
    """
    weights = unit_weights(1, y_pred, sample_weight)
    y_true, y_pred, all_weights = _gather(y_true, y_pred, weights)
    if weights is None:
        count = ops.cast(ops.shape(y_true)[0], "float32") / current_replicas().count
        return _mean(loss.call(y_true, y_pred)) * count, count
    weight = whole_weights(all_weights, padded=True, axis=None)
    count = ops.sum(ops.cast(ops.not_equal(weights, 0.0), "float32"))

    valid = ops.not_equal(all_weights, 0.0)
    is_any = ops.any(valid)
    # Not every loss can be computed of no example: there the first one stands in, without a
    # gradient. (A branch would do, but XLA takes none whose arrays have sizes that depend on data.)
    is_first = ops.equal(ops.arange(ops.shape(all_weights)[0]), 0)
    (rows,) = ops.nonzero(ops.logical_or(valid, ops.logical_and(is_first, ops.logical_not(is_any))))

    def of_valid(prediction: Tensor) -> Tensor:
        return take_rows(ops.where(is_any, prediction, ops.stop_gradient(prediction)), rows)

    logits = logits_of(y_pred)
    prediction = with_logits(of_valid(y_pred), None if logits is None else of_valid(logits))
    value = ops.where(is_any, _mean(loss.call(take_rows(y_true, rows), prediction)), 0.0)
    return value * ops.divide_no_nan(weight, ops.abs(weight)) * count, count


def total_of_overlap(
    loss: keras.losses.Loss, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Computes Dice or Tversky from the valid entries, each of which may be missing by itself.

    Their sums run over products of labels and predictions, so that an entry of which both are 0
    is not there.

    Args:
        loss: `Dice` or `Tversky`. If its `axis` holds the batch axis (the default), there is one
            value for the valid entries of all replicas; otherwise one for each example.
        y_true: Labels of this replica.
        y_pred: Predictions of this replica.
        sample_weight: `None`, or weights, which must be 0 or equal within a sum.

    Returns:
        The sum of the losses times their weights, and the sum of the weights.
    """
    rank = len(y_pred.shape)
    axes = _axes(loss, rank)
    weights = unit_weights(rank, y_pred, sample_weight)
    if weights is not None:
        weights = ops.ones_like(y_pred) * weights
        y_true = blank_labels(y_true, weights)
        y_pred = ops.where(ops.not_equal(weights, 0.0), y_pred, 0.0)
    present = ops.ones_like(y_pred) if weights is None else ops.abs(weights)
    count = ops.sum(ops.cast(ops.any(present > 0.0, axis=tuple(range(1, rank))), "float32"))
    if 0 in axes:
        y_true, y_pred, weights = _gather(y_true, y_pred, weights)
    values = loss.call(y_true, y_pred)
    factors = ops.ones_like(values)
    if weights is not None:
        factors = whole_weights(weights, padded=True, axis=axes)
    total, size = ops.sum(values * factors), ops.sum(ops.abs(factors))
    return (ops.divide_no_nan(total, size) * count, count) if 0 in axes else (total, size)


def sums_over_batch(loss: keras.losses.Loss) -> bool:
    """Tells whether Dice or Tversky has one value for all examples."""
    axis = argument_of(loss, "axis")
    return axis is None or 0 in (axis if isinstance(axis, (tuple, list)) else (axis,))


def _axes(loss: keras.losses.Loss, rank: int) -> tuple[int, ...]:
    """Returns the axes of the sums of an overlap, from 0 on."""
    axis = argument_of(loss, "axis")
    if axis is None:
        return tuple(range(rank))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(a % rank for a in axes))


def _gather(y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> tuple[Tensor, ...]:
    """Returns labels, predictions and weights of all replicas; the logits come along."""
    replicas = current_replicas()
    if replicas.count == 1:
        return y_true, y_pred, weights
    logits = logits_of(y_pred)
    prediction = replicas.gather(y_pred)
    prediction = with_logits(prediction, None if logits is None else replicas.gather(logits))
    return (
        replicas.gather(y_true),
        prediction,
        None if weights is None else replicas.gather(weights),
    )


def _mean(values: Tensor) -> Tensor:
    """Returns the mean of the values that the loss itself does not mask."""
    kept = mask_of(values)
    values = ops.cast(values, "float32")
    if kept is None:
        return ops.mean(values)
    kept = ops.cast(kept, "float32")
    return ops.divide_no_nan(ops.sum(values * kept), ops.sum(kept))
