"""The shapes of labels and predictions, as far as a task tells them before there is a network."""

from collections.abc import Sequence
from typing import Any

from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._reading import Reading

Shape = tuple[int | None, ...]


def labels_have_last_axis(head: Any, labels: Labels) -> bool:
    """Tells whether the last axis of the labels is that of the prediction.

    Otherwise the prediction has one axis more, of classes or of one number, or (survival times
    with an event) labels hold what the loss alone can read.
    """
    if labels.integer or not labels.shape or labels.time_to_event:
        return False
    last, units = labels.shape[-1], _units(head)
    if units is None:
        return len(labels.shape) == 1 or last is not None
    return last == units or (last is None and len(labels.shape) == 1 and units > 1)


def ranks_of_prediction(head: Any, labels: Labels, reading: Reading | None) -> tuple[int, ...]:
    """Returns the numbers of axes, with the batch, that the prediction may have."""
    rank = 1 + len(labels.shape)
    if labels.time_to_event:
        return (rank,)
    if labels_have_last_axis(head, labels):
        return (rank,)
    known = reading is not None and (reading.sparse or reading.dense or reading.padded)
    return (rank + 1,) if known or not labels.shape else (rank, rank + 1)


def assumed_shapes(
    head: Any, labels: Labels | None, columns: Sequence[str] | None
) -> tuple[Shape, Shape] | None:
    """Returns shapes that labels and predictions may have; `None` where nothing tells them."""
    if columns is not None:
        return (None, len(columns)), (None, len(columns))
    if labels is None:
        return None
    shape, units = (None, *labels.shape), _units(head)
    if labels.integer:
        return shape, (*shape, units or int(labels.high or 2) + 1)
    if labels_have_last_axis(head, labels):
        return shape, shape
    if units in (None, 1) and shape[-1] is None:
        return (*shape, 1), (*shape, 1)
    return shape, (*shape[:-1], units or 1) if labels.shape else (None, units or 1)


def _units(head: Any) -> int | None:
    return head.units if isinstance(head, Head) else None
