"""What metrics need to know of a task: the kind of its labels and of its prediction."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras

from keras_mtl._keras_internals import reads_logits
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels

Kind = Literal[
    "yes or no",
    "class",
    "one-hot",
    "distribution",
    "number",
    "quantiles",
    "survival",
    "scores",
    "unknown",
]
"""What a label says, and what is predicted:

    yes or no     0 or 1, and a probability or a logit
    class         a class number, and a distribution over the classes
    one-hot       a distribution, or one number per class, of which one is 1; and a distribution
    distribution  one of the two: a distribution is predicted, and nothing is known of the labels
    number        any number
    quantiles     any number, and its quantiles are predicted
    survival      a time and whether an event came then; a curve over bins of time, or a score
    scores        relevances of the items of a list; and scores to order them by
    unknown       nothing is known
"""

_YES_OR_NO = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)
_ONE_HOT = (
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.CategoricalHinge,
)
_CLASS = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalGeneralizedCrossEntropy,
)
_NUMBER = (
    keras.losses.CosineSimilarity,
    keras.losses.Huber,
    keras.losses.LogCosh,
    keras.losses.MeanAbsoluteError,
    keras.losses.MeanAbsolutePercentageError,
    keras.losses.MeanSquaredError,
    keras.losses.MeanSquaredLogarithmicError,
    keras.losses.Poisson,
)
_FUNCTIONS: dict[str, Kind] = {
    "binary_crossentropy": "yes or no",
    "binary_focal_crossentropy": "yes or no",
    "categorical_crossentropy": "one-hot",
    "categorical_focal_crossentropy": "one-hot",
    "categorical_hinge": "one-hot",
    "sparse_categorical_crossentropy": "class",
    "categorical_generalized_cross_entropy": "class",
}


@dataclasses.dataclass(frozen=True)
class Output:
    """Describes the labels and the prediction of a task to its metrics.

    Args:
        kind: What a label says.
        width: The number of entries of the prediction's last axis; `None` if it is not known.
        positions: The number of axes between the batch and the last axis; `None` if it is not
            known.
        logits: Whether the prediction holds logits. Defaults to `False`.
        labels: The `Labels` of the task. Defaults to `None`.
        copies: How many such outputs a metric keeps numbers of. Defaults to `1`.
        cut: The probability above which an entry counts as 1. Defaults to `0.5`.
        cuts: The same for each entry of the last axis, instead of `cut`. Defaults to none.
        levels: What the entries of the last axis stand for, where these are numbers: the levels of
            quantiles, or the ends of bins of time. Defaults to none.
    """

    kind: Kind
    width: int | None
    positions: int | None
    logits: bool = False
    labels: Labels | None = None
    copies: int = 1
    cut: float = 0.5
    cuts: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()

    @property
    def threshold(self) -> float:
        """The prediction above which an entry counts as 1, where all entries have the same."""
        return logit(self.cut) if self.logits else self.cut

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The predictions above which entries count as 1: of each entry, or of all together."""
        cuts = self.cuts or (self.cut,)
        return tuple(logit(cut) for cut in cuts) if self.logits else cuts

    def cut_at(self, threshold: float | Sequence[float]) -> "Output":
        """Returns the description with the cuts at one probability, or at one for each entry."""
        if isinstance(threshold, float):
            return dataclasses.replace(self, cut=threshold)
        cuts = tuple(threshold)
        if len(cuts) == 1:
            return dataclasses.replace(self, cut=cuts[0])
        return dataclasses.replace(self, cuts=cuts)

    def of_decisions(self) -> "Output":
        """Returns the description of the decisions, 0 or 1, in place of the predictions."""
        return dataclasses.replace(self, cut=0.5, cuts=(), logits=False)

    def among(self, copies: int) -> "Output":
        """Returns the description of one of many entries, each an output of its own."""
        return dataclasses.replace(self, width=1, copies=copies)


def logit(probability: float) -> float:
    """Returns the logit of a probability in [0, 1]."""
    if probability in (0.0, 1.0):
        return math.copysign(math.inf, probability - 0.5)
    return math.log(probability / (1.0 - probability))


def describe_output(
    head: Any, loss: keras.losses.Loss, labels: Labels | None, columns: int = 0
) -> Output:
    """Returns what metrics need to know of a task.

    The loss decides where it is one of Keras's cross-entropies, or a subclass of one. Otherwise
    the head's activation and the labels do.

    Args:
        head: The head of the task, or a recipe, of which nothing is known.
        loss: The loss of the task.
        labels: The labels of the task, if they are described.
        columns: The number of columns. Defaults to `0`.
    """
    units = head.units if isinstance(head, Head) else None
    activation = head.activation if isinstance(head, Head) else None
    kind = _kind_of_loss(loss) or _kind_of_head(activation, units, labels)
    if kind == "unknown" and isinstance(loss, _NUMBER):
        kind = "number"
    width = units or columns or _width_of_labels(kind, labels)
    positions = None if labels is None else len(labels.shape)
    if labels is not None and labels.time_to_event:
        positions = 0
    elif positions and kind != "class" and labels is not None and labels.shape[-1] == width:
        positions -= 1  # the last axis of the labels is that of the prediction
    logits = bool(reads_logits(loss))
    if labels is not None:  # hashable, also where a list was given
        names = None if labels.names is None else tuple(labels.names)
        labels = dataclasses.replace(labels, shape=tuple(labels.shape), names=names)
    levels = tuple(getattr(loss, "levels", ()))
    return Output(kind, width, positions, logits, labels, levels=levels)


def _kind_of_loss(loss: keras.losses.Loss) -> Kind | None:
    for known in get_args(Kind):
        if getattr(loss, "label_kind", None) == known:
            said: Kind = known
            return said
    kinds: tuple[tuple[tuple[type, ...], Kind], ...] = (
        (_YES_OR_NO, "yes or no"),
        (_ONE_HOT, "one-hot"),
        (_CLASS, "class"),
    )
    for classes, kind in kinds:
        if isinstance(loss, classes):
            return kind
    function = getattr(loss, "function", getattr(loss, "fn", None))
    return _FUNCTIONS.get(getattr(function, "__name__", ""))


def _kind_of_head(activation: str | None, units: int | None, labels: Labels | None) -> Kind:
    """Returns the kind of a task whose loss says nothing, such as Dice or a user's loss."""
    if labels is not None and labels.integer:
        return "class" if units != 1 else "yes or no"
    if activation == "softmax":
        one_hot = labels is not None and labels.shape and labels.shape[-1] == units
        return "one-hot" if one_hot else "distribution"
    is_0_or_1 = labels is not None and (labels.low, labels.high) == (0, 1)
    if activation == "sigmoid" or (activation is None and is_0_or_1):
        return "yes or no"
    return "unknown"


def _width_of_labels(kind: Kind, labels: Labels | None) -> int | None:
    """Returns the width of the prediction of a recipe, as far as labels tell."""
    if labels is None:
        return None
    if kind == "class":
        return None if labels.high is None else int(labels.high) + 1
    return labels.shape[-1] if labels.shape else 1
