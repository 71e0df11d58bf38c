"""The F1 score of spans in tagged sequences."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor

_LONGEST = 16
"""Sequences have fewer than 2^16 positions."""


@keras.saving.register_keras_serializable(package="keras_mtl")
class SpanF1(keras.metrics.Metric):
    """Computes the F1 score of spans, as of named entities, in tagged sequences:

        2 hits / (spans of labels + spans of predictions)

    A span is hit if first position, last position and kind are all right. Tags are those of IOB2:
    `B-<kind>` begins a span, `I-<kind>` goes on with it, and every other tag is outside. An `I-`
    that follows no span of its kind begins one, as in conlleval and seqeval. Positions without a
    weight are taken out first, such as padding and all but the first piece of a word; a span has
    the weight of its last position.

    Choose it for entities and slots; the accuracy of tags is high even if no span is right, since
    most words are outside.

    Args:
        tags: The names of the tags, in the order of the classes.
        name: Name in the logs. Defaults to `"span_f1"`.

    Call arguments:
        y_true: Class numbers `(batch, time)`.
        y_pred: Predictions `(batch, time, len(tags))`.
        sample_weight: `None`, or weights `(batch, time)`.

    Example:
        >>> metric = SpanF1(["O", "B-PER", "I-PER"])
        >>> y_pred = ops.one_hot([[1, 2, 0, 1]], 3)
        >>> metric.update_state(ops.array([[1, 2, 0, 0]]), y_pred)
        >>> round(float(metric.result()), 4)
        0.6667

    Reference:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 Shared Task", CoNLL 2003.
    """

    reads = "batch"
    kinds: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(self, tags: Sequence[str], name: str = "span_f1") -> None:
        super().__init__(name=name)
        set_direction(self, "up")
        self.tags = list(tags)
        kinds = sorted({tag[2:] for tag in self.tags if tag[:2] in ("B-", "I-")})
        if not kinds:
            raise ValueError(f"{name}: no tag begins with 'B-' or 'I-'; received {self.tags}")
        # The number of a tag's kind, 0 outside, and whether the tag begins a span.
        self._kinds = np.array(
            [1 + kinds.index(t[2:]) if t[:2] in ("B-", "I-") else 0 for t in self.tags], "int32"
        )
        self._begins = np.array([tag.startswith("B-") for tag in self.tags])
        # Hits, spans of labels, spans of predictions.
        self.counts = self.add_variable((3,), "zeros", name="counts")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the spans of a batch."""
        labels = ops.cast(y_true, "int32")
        chosen = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        weights = ops.ones_like(labels, dtype="float32")
        if sample_weight is not None:
            weights = ops.cast(sample_weight, "float32")
        # Positions with a weight come first, in their order.
        positions = ops.arange(ops.shape(labels)[1])
        missing = ops.cast(ops.equal(weights, 0.0), "int32")
        order = ops.argsort(positions + missing * ops.shape(labels)[1], axis=1)
        labels, chosen, weights = (
            ops.take_along_axis(value, order, axis=1) for value in (labels, chosen, weights)
        )
        there = weights != 0.0
        first, last, kinds = self._spans(labels, there)
        first_chosen, last_chosen, kinds_chosen = self._spans(chosen, there)
        hits = ops.logical_and(last, last_chosen)
        for value, value_chosen in ((first, first_chosen), (kinds, kinds_chosen)):
            hits = ops.logical_and(hits, ops.equal(value, value_chosen))
        sums = [ops.sum(ops.where(flag, weights, 0.0)) for flag in (hits, last, last_chosen)]
        self.counts.assign_add(ops.stack(sums))

    def _spans(self, tags: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns, at each position, where its span began, whether it ends there, and its kind."""
        kinds = ops.where(there, ops.take(self._kinds, tags), 0)
        inside = kinds > 0
        before = ops.pad(kinds[:, :-1], ((0, 0), (1, 0)))
        begins = ops.logical_or(ops.take(self._begins, tags), kinds != before)
        begins = ops.logical_and(begins, inside)
        continues = ops.logical_and(inside, ops.logical_not(begins))
        ends = ops.logical_not(ops.pad(continues[:, 1:], ((0, 0), (0, 1))))
        positions = ops.arange(1, ops.shape(tags)[1] + 1)
        return (
            _running_maximum(ops.where(begins, positions, 0)),
            ops.logical_and(inside, ends),
            kinds,
        )

    def is_defined(self) -> Tensor:
        """Returns whether there is a span."""
        return self.counts[1] + self.counts[2] > 0.0

    def result(self) -> Tensor:
        """Returns the score so far; 0 without spans."""
        return ops.divide_no_nan(2.0 * self.counts[0], self.counts[1] + self.counts[2])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"tags": self.tags, "name": self.name}


def _running_maximum(values: Tensor) -> Tensor:
    """Returns the largest of the numbers of at least 0 up to each position, `[batch, time]`."""
    length = ops.shape(values)[1]
    for step in range(_LONGEST):
        # The maximum of 2^step positions becomes that of twice as many.
        shifted = ops.pad(values, ((0, 0), (2**step, 0)))[:, :length]
        values = ops.maximum(values, shifted)
    return values
