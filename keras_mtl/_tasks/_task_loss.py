"""The loss of a task on a batch: the mean over the valid labels on all replicas."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of, mask_of, with_logits, with_mask
from keras_mtl._replicas import sum_over_replicas
from keras_mtl._tasks._batch_loss import total_of_batch, total_of_overlap
from keras_mtl._tasks._find_reading import declared_reading, find_reading
from keras_mtl._tasks._kinds._list_losses import ListLoss, total_of_lists
from keras_mtl._tasks._known_losses import serialize_loss
from keras_mtl._tasks._label_shapes import check_shapes, check_tensor
from keras_mtl._tasks._label_weights import align_labels, expand_to, unit_weights
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._masked_frames import blank_masked_frames
from keras_mtl._tasks._reading import Reading, check_columns
from keras_mtl._tasks._scale import Scale
from keras_mtl._tasks._scaled_loss import to_scale
from keras_mtl._tasks._valid_copies import blank_labels, copy_valid
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskLoss(keras.losses.Loss):
    """Averages a Keras loss over the valid labels of the global batch.

    With the loss l and the weight w of each label, the loss of a task on a batch is

        sum(w * l) / sum(|w|)

    with both sums over the batch of all replicas together. It is exactly 0 where no label is
    valid. (Keras divides by the batch size instead, so a task with 10 % of its labels would weigh
    a tenth of what it should; and Keras's own `mean_with_sample_weight` divides on each replica
    separately, by a sum that may be negative.)

    A value l may depend on one entry of the prediction, on its last axis, on a whole example or
    on the batch: `Task` says how it is found out, and what that means for missing labels. Where a
    loss sets a mask of its own (`ignore_class`), only what it keeps is counted.

    Args:
        loss: A `keras.losses.Loss`.
        elementwise: Whether every entry of the last axis has a label and a weight of its own
            (multi-label tasks and regressions with several targets), if the loss is elementwise.
            Defaults to `False`.
        name: Optional name; messages begin with it.
        num_columns: The number of entries of the last axis that are tasks of their own: each
            entry then has a mean of its own, and the loss is the sum of these means. 0 if the
            task has no columns. Defaults to `0`.
        reads: What the loss reads, `"element"`, `"last axis"`, `"example"` or `"batch"`. Defaults
            to `None`: it is known, for a loss of Keras, or found out with small arrays.
        label_range: The smallest and the largest label, or `None` for no limit, of these arrays.
        scale: The unit in which labels and predictions are compared. Defaults to `None`: their
            own.

    Call arguments:
        y_true: Labels, of the prediction's shape or without its last axis.
        y_pred: Predictions.
        sample_weight: `None`, or weights from shape `(batch,)` up to one weight per label; zero
            where the label is missing.

    Example:
        >>> loss = TaskLoss(keras.losses.MeanSquaredError())
        >>> float(loss(ops.array([1.0, 9.0]), ops.array([[3.0], [0.0]]), ops.array([1.0, 0.0])))
        4.0
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        elementwise: bool = False,
        name: str | None = None,
        num_columns: int = 0,
        reads: str | None = None,
        label_range: Sequence[float | None] = (None, None),
        scale: Scale | None = None,
    ) -> None:
        super().__init__(name=name or loss.name)
        self.loss = loss
        self.elementwise = elementwise
        self.num_columns = num_columns
        self.reads = reads
        self.label_range = tuple(label_range)
        self.scale = scale
        self._reading = declared_reading(loss, reads)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each label.

        Returns:
            Losses of the prediction's shape, without the last axis unless `elementwise`.
        """
        y_true, y_pred, reading = self._prepare(y_true, y_pred)
        return self._values(y_true, y_pred, _goes_by_entry(self.elementwise, reading, y_pred, None))

    def total_and_count(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns `sum(w * l)` and `sum(|w|)` over the labels of this replica.

        Of a loss over the batch, the total is the loss of the global batch times the number of
        this replica's valid examples, so that the sums of all replicas give its value, too.

        Returns:
            Two scalars, or two vectors `[num_columns]` if there are columns.
        """
        y_true, y_pred, reading = self._prepare(y_true, y_pred)
        if reading.lists and isinstance(self.loss, ListLoss):
            with self._named():
                return total_of_lists(self.loss, y_true, y_pred, sample_weight)
        if reading.overlap:
            return total_of_overlap(self.loss, y_true, y_pred, sample_weight)
        if reading.reads == "batch":
            with self._named():
                return total_of_batch(self.loss, y_true, y_pred, sample_weight)
        by_entry = _goes_by_entry(self.elementwise, reading, y_pred, sample_weight)
        rank = _rank_of_units(reading, y_pred, by_entry)
        with self._named():
            weights = unit_weights(rank, y_pred, sample_weight, padded=reading.padded)
        if weights is not None and reading.takes_zero:
            # Of padded labels some may be missing in an example that counts.
            y_true = blank_labels(y_true, sample_weight if reading.padded else weights)
        elif weights is not None:
            y_true, y_pred = copy_valid(y_true, y_pred, weights)
        values = self._values(y_true, y_pred, by_entry)
        return self._sums(values, weights, is_finite=reading.takes_zero)

    def _sums(
        self, values: Tensor, weights: Tensor | None, is_finite: bool
    ) -> tuple[Tensor, Tensor]:
        """Returns the sums of the weighted losses and of the weights."""
        kept = mask_of(values)  # the loss's own
        values = ops.cast(values, "float32")
        factors = ops.ones_like(values)
        for factor in (weights, kept):
            if factor is not None:
                factors = factors * expand_to(ops.cast(factor, "float32"), len(values.shape))
        if weights is not None and not is_finite:
            # Where nothing is valid, a user's loss was computed of a label that is missing.
            values = ops.where(ops.not_equal(factors, 0.0), values, 0.0)
        axes = tuple(range(len(values.shape) - 1)) if self.num_columns else None
        counts = factors if weights is None else ops.abs(factors)
        return ops.sum(values * factors, axis=axes), ops.sum(counts, axis=axes)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Computes this replica's part of the loss; the parts of all replicas add up to it."""
        total, count = self.total_and_count(y_true, y_pred, sample_weight)
        parts = ops.divide_no_nan(total, sum_over_replicas(ops.stop_gradient(count)))
        return ops.sum(parts) if self.num_columns else parts

    def _prepare(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Reading]:
        """Returns labels and predictions as the loss takes them, and what it reads."""
        with self._named():
            check_tensor(y_true)
            y_true = align_labels(y_true, y_pred, self.elementwise)
            reading = self._reading or self._find(y_true, y_pred)
            check_shapes(y_true, y_pred, reading)
            if self.num_columns:
                check_columns(reading)
            y_true, y_pred = to_scale(y_true, y_pred, self.scale)
        if reading.padded:
            y_pred = blank_masked_frames(y_pred)
        if reading.casts:
            y_true = ops.cast(y_true, self.loss.dtype)
            if keras.backend.standardize_dtype(y_pred.dtype) != self.loss.dtype:
                mask, logits = mask_of(y_pred), logits_of(y_pred)
                y_pred = with_logits(with_mask(ops.cast(y_pred, self.loss.dtype), mask), logits)
        return y_true, y_pred, reading

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Lets messages begin with the task's name."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"task {self.name!r}: {error}") from error

    def _find(self, y_true: Tensor, y_pred: Tensor) -> Reading:
        low, high = self.label_range
        labels = Labels(low=low, high=high)
        if self.scale is None and "int" in keras.backend.standardize_dtype(y_true.dtype):
            low = 0 if low is None else low
            high = max(2, y_pred.shape[-1] or 0) - 1 if high is None else high
            labels = Labels(integer=True, low=low, high=high)
        self._reading = find_reading(self.loss, y_true.shape, y_pred.shape, labels)
        return self._reading

    def _values(self, y_true: Tensor, y_pred: Tensor, by_entry: bool) -> Tensor:
        if by_entry:
            # Keras losses average over the last axis: give them one of length 1.
            logits = logits_of(y_pred)
            y_true, y_pred = ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
            if logits is not None:
                # The new tensor has lost the logits.
                y_pred = with_logits(y_pred, ops.expand_dims(logits, -1))
        with self._named():
            values = self.loss.call(y_true, y_pred)
        if by_entry and len(values.shape) == len(y_pred.shape):
            values = ops.squeeze(values, -1)  # a user's loss that leaves the mean to Keras
        return values

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {
            "loss": serialize_loss(self.loss),
            "elementwise": self.elementwise,
            "name": self.name,
            "num_columns": self.num_columns,
            "reads": self.reads,
            "label_range": self.label_range,
            "scale": keras.saving.serialize_keras_object(self.scale),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskLoss":
        """Builds the loss that `get_config` described."""
        objects = {
            key: keras.saving.deserialize_keras_object(config[key]) for key in ("loss", "scale")
        }
        return cls(**{**config, **objects})


def _goes_by_entry(
    elementwise: bool, reading: Reading, prediction: Tensor, sample_weight: Tensor | None
) -> bool:
    """Tells whether every entry of the prediction has a loss and a weight of its own."""
    if reading.reads != "element" or elementwise or sample_weight is None:
        return reading.reads == "element" and elementwise
    weighs_entries = len(sample_weight.shape) == len(prediction.shape)
    return weighs_entries and sample_weight.shape[-1] == prediction.shape[-1] != 1


def _rank_of_units(reading: Reading, prediction: Tensor, by_entry: bool) -> int:
    """Returns the number of axes of the units that the loss has values of."""
    if reading.reads == "example":
        return 1
    rank = len(prediction.shape)
    return rank if by_entry else max(1, rank - 1)
