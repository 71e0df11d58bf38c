"""What a metric reads of a batch, and how labels, predictions and weights are laid out for it."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from keras import ops

from keras_mtl._keras_internals import mask_of, with_mask
from keras_mtl._tasks._label_weights import align_labels, label_weights
from keras_mtl._types import Tensor

MetricReads = Literal["element", "last axis", "column", "list", "row", "batch"]
"""What a metric reads together; a metric or a function says it by its attribute `reads`:

    element    one label: rows `(labels, 1)` with a weight for each label
    last axis  the entries of one position: rows `(positions, width)` with a weight for each row
    column     one entry of all positions: rows `(positions, width)` with a weight for each entry
    list       all labels of an example: rows `(batch, labels)` with a weight for each label
    row        a label of several entries, a time and an event: as they are, with a weight per row
    batch      anything: the shapes of the batch, with a weight for each position
"""


class MetricInputs(NamedTuple):
    """Holds what `update_state` of a metric is called with."""

    labels: Tensor
    predictions: Tensor
    weights: Tensor


@dataclasses.dataclass(frozen=True)
class MetricReading:
    """Says what a metric reads, and lays out a batch for it.

    Args:
        reads: What the metric reads together. Defaults to `"last axis"`.
        drops: Whether rows without a weight are taken out first, since the metric does not obey
            its `sample_weight`. Defaults to `False`.
        weighted: Whether `update_state` takes a `sample_weight`. Defaults to `True`.
        one_hot: The number of classes where class numbers become one-hot labels first. Defaults
            to `0`: labels stay as they are.
        entry: The only entry of the last axis that counts, for a metric with a `class_id`.
            Defaults to `None`: all of them.
        compares: Whether the metric compares the entries of one prediction with each other, so
            that there have to be several. Defaults to `False`.
        adds_up: Whether the states of several replicas add up to that of all, as Keras assumes.
            Defaults to `True`.
        cuts: The metric gets decisions in place of predictions: 1 above the cut, else 0. One cut
            per entry of the last axis, or one for all. Defaults to none: it gets the predictions.
    """

    reads: MetricReads = "last axis"
    drops: bool = False
    weighted: bool = True
    one_hot: int = 0
    entry: int | None = None
    compares: bool = False
    adds_up: bool = True
    cuts: tuple[float, ...] = ()

    def lay_out(
        self, labels: Tensor, predictions: Tensor, sample_weight: Tensor | None = None
    ) -> MetricInputs:
        """Returns labels, predictions and weights in the shapes that the metric reads.

        Args:
            labels: Labels, of the prediction's shape or without its last axis.
            predictions: Predictions `(batch, ..., width)`, with a mask or without.
            sample_weight: `None`, or weights from shape `(batch,)` up to one weight per label.
        """
        # Read first: a tensor that is converted or indexed has no mask.
        mask = mask_of(predictions)
        labels, predictions = ops.convert_to_tensor(labels), ops.convert_to_tensor(predictions)
        if self.reads == "row":
            weights = label_weights(predictions[:, 0], predictions, sample_weight)
            return MetricInputs(labels, predictions, weights)
        labels = self._prepare(labels, predictions)
        values = predictions
        if len(labels.shape) == len(predictions.shape):
            labels = ops.cast(labels, predictions.dtype)
        else:
            values = predictions[..., 0]
        weights = label_weights(values, with_mask(values, mask), sample_weight)
        return self._reshape(labels, decide(predictions, self.cuts), weights)

    def _prepare(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """Returns labels of the prediction's rank, or class numbers without the last axis."""
        labels = align_labels(labels, predictions, False)
        width = predictions.shape[-1]
        if len(labels.shape) == len(predictions.shape) and labels.shape[-1] == 1 != width:
            labels = ops.squeeze(labels, -1)  # class numbers (batch, 1)
        if self.one_hot and len(labels.shape) < len(predictions.shape):
            labels = ops.one_hot(ops.cast(labels, "int32"), self.one_hot, dtype=predictions.dtype)
        return labels

    def _reshape(self, labels: Tensor, predictions: Tensor, weights: Tensor) -> MetricInputs:
        width = predictions.shape[-1]
        is_dense = len(labels.shape) == len(predictions.shape)
        if self.reads == "list":
            rows = (ops.shape(predictions)[0], -1)
            return MetricInputs(*(ops.reshape(v, rows) for v in (labels, predictions, weights)))
        if self.reads == "batch":
            return MetricInputs(labels, predictions, whole_rows(weights) if is_dense else weights)
        if not is_dense:
            flat = ops.reshape(labels, (-1,)), ops.reshape(predictions, (-1, width))
            return MetricInputs(*flat, ops.reshape(weights, (-1,)))
        if self.reads == "element":
            flat = ops.reshape(labels, (-1, 1)), ops.reshape(predictions, (-1, 1))
            return MetricInputs(*flat, ops.reshape(weights, (-1,)))
        rows = (-1, width)
        labels, predictions, weights = (
            ops.reshape(v, rows) for v in (labels, predictions, weights)
        )
        if self.entry is not None:
            weights = weights[:, self.entry]
        elif self.reads == "last axis":
            weights = whole_rows(weights)
        return MetricInputs(labels, predictions, weights)


def decide(predictions: Tensor, cuts: Sequence[float]) -> Tensor:
    """Returns 1 for each prediction above its cut, and 0 for the others; all as it is without cuts.

    Args:
        predictions: Predictions `(..., width)`.
        cuts: One cut per entry of the last axis, or one for all, or none.
    """
    if not cuts:
        return predictions
    return ops.cast(predictions > ops.convert_to_tensor(cuts, predictions.dtype), predictions.dtype)


def whole_rows(weights: Tensor) -> Tensor:
    """Returns the weight of each row: the mean over its entries, or 0 if the row misses a label."""
    if weights.shape[-1] == 1:
        return ops.squeeze(weights, -1)
    return ops.where(ops.all(weights != 0, axis=-1), ops.mean(weights, axis=-1), 0.0)


def rows_with_weight(inputs: MetricInputs) -> tuple[MetricInputs, Tensor]:
    """Returns the rows that have a weight, and whether there is any.

    If there is none, the first row is returned, since many operations fail on no rows.
    """
    weights = inputs.weights
    flags = ops.any(ops.reshape(weights != 0, (ops.shape(weights)[0], -1)), axis=1)
    any_row = ops.any(flags)
    first = ops.equal(ops.arange(ops.shape(flags)[0]), 0)
    # A traced graph cannot know how many rows there are, and neither can XLA.
    rows = ops.nonzero(ops.logical_or(flags, ops.logical_and(first, ops.logical_not(any_row))))[0]
    return MetricInputs(*(ops.take(value, rows, axis=0) for value in inputs)), any_row


def check_metric_reads(reads: Any) -> MetricReads:
    """Returns `reads` if it is one of the known words.

    Raises:
        ValueError: If it is not.
    """
    for word in get_args(MetricReads):
        if reads == word:
            known: MetricReads = word
            return known
    raise ValueError(f"reads is one of {list(get_args(MetricReads))}; received {reads!r}")
