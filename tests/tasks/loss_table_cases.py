"""Losses for the table of losses: all that Keras exports, and a user's of each kind.

A case says how labels and predictions look, and which axes of them make one unit: a unit is what
may be missing by itself, and what a weight belongs to.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

import keras_mtl as mtl

ROWS, TIME, CLASSES = 6, 4, 3


def rmsle(y_true: Any, y_pred: Any) -> Any:
    """Computes an elementwise loss that takes the logarithm of its labels: no label may be 0."""
    return ops.mean(ops.square(ops.log(y_true) - ops.log(y_pred)), axis=-1)


def box_overlap(y_true: Any, y_pred: Any) -> Any:
    """Computes one minus the length that two intervals share, over that of both together."""
    low = ops.maximum(y_true[..., 0], y_pred[..., 0])
    high = ops.minimum(y_true[..., 1], y_pred[..., 1])
    shared = ops.maximum(high - low, 0.0)
    lengths = y_true[..., 1] - y_true[..., 0] + y_pred[..., 1] - y_pred[..., 0]
    return 1.0 - shared / (lengths - shared)


def total_error(y_true: Any, y_pred: Any) -> Any:
    """Computes the square of the sum of errors over all positions of an example."""
    axes = tuple(range(1, len(y_pred.shape)))
    return ops.square(ops.sum(y_true - y_pred, axis=axes))


class PartialLikelihood(keras.losses.Loss):
    """Computes Cox's partial likelihood: labels are times and events, predictions are risks."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Computes one value per event, against all who are at risk then, and their mean."""
        time, event, risk = y_true[:, 0], y_true[:, 1], y_pred[:, 0]
        at_risk = ops.where(time[None, :] >= time[:, None], risk[None, :], -1e9)
        values = event * (ops.logsumexp(at_risk, axis=1) - risk)
        return ops.sum(values) / (ops.sum(event) + 1e-6)


def ranking(y_true: Any, y_pred: Any) -> Any:
    """Computes a loss of each example against all others: one value per example."""
    better = ops.cast(y_true > ops.transpose(y_true), "float32")
    return ops.mean(better * ops.softplus(ops.transpose(y_pred) - y_pred), axis=1)


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds a loss, and the labels and predictions that it takes.

    Args:
        loss: The loss, as it is handed to `Task`.
        shape: The shape of a prediction, without the batch.
        labels: What labels are: `"real"`, `"binary"`, `"sign"`, `"one-hot"`, `"class"`, `"text"`,
            `"interval"` or `"survival"`.
        unit: The number of axes of a unit's position, with the batch; 0 for a loss over the batch.
        activation: That of the head.
    """

    loss: Any
    shape: tuple[int, ...]
    labels: str = "real"
    unit: int = 1
    activation: str = "sigmoid"

    def stock(self) -> keras.losses.Loss:
        """Returns the loss as stock Keras takes it."""
        loss = keras.losses.get(self.loss) if isinstance(self.loss, str) else self.loss
        return loss if isinstance(loss, keras.losses.Loss) else _Function(loss)

    def draw(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """Returns labels and predictions, all of them valid."""
        shape = (ROWS, *self.shape)
        predictions = rng.uniform(0.05, 0.95, shape)
        if self.labels == "interval":
            predictions = np.sort(predictions, axis=-1)
        drawn: dict[str, Callable[[], Any]] = {
            "real": lambda: rng.uniform(0.05, 0.95, shape),
            "binary": lambda: rng.integers(0, 2, shape),
            "sign": lambda: 2 * rng.integers(0, 2, shape) - 1,
            "one-hot": lambda: np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])],
            "class": lambda: rng.integers(0, shape[-1], shape[:-1]),
            "group": lambda: np.arange(ROWS) % 2,
            "text": lambda: np.array([[1, 2], [2, 0], [1, 0], [2, 1], [1, 2], [2, 0]]),
            "interval": lambda: np.sort(rng.uniform(0.05, 0.95, shape), axis=-1),
            "survival": lambda: np.stack([rng.uniform(1, 9, ROWS), np.arange(ROWS) % 3 > 0], 1),
        }
        labels = drawn[self.labels]()
        if not self.is_integer:
            labels = labels.astype("float32")
        return labels, predictions.astype("float32")

    @property
    def is_integer(self) -> bool:
        """Whether labels are class numbers."""
        return self.labels in ("class", "group", "text")

    def task(self, name: str = "zoo") -> mtl.Task:
        """Returns a task with the loss."""
        shape = {"survival": (2,), "group": (), "class": self.shape[:-1], "text": (2,)}
        labels = mtl.Labels(shape.get(self.labels, self.shape), integer=self.is_integer)
        head = mtl.Head(self.shape[-1], self.activation)
        return mtl.Task(name, head=head, loss=self.loss, labels=labels)


class _Function(keras.losses.Loss):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Calls the function."""
        return self.function(y_true, y_pred)


K = keras.losses
_ELEMENTWISE = {
    "MeanSquaredError": (K.MeanSquaredError(), "real"),
    "MeanAbsoluteError": (K.MeanAbsoluteError(), "real"),
    "MeanAbsolutePercentageError": (K.MeanAbsolutePercentageError(), "real"),
    "MeanSquaredLogarithmicError": (K.MeanSquaredLogarithmicError(), "real"),
    "Huber": (K.Huber(delta=0.2), "real"),
    "LogCosh": (K.LogCosh(), "real"),
    "Poisson": (K.Poisson(), "real"),
    "Hinge": (K.Hinge(), "sign"),
    "SquaredHinge": (K.SquaredHinge(), "binary"),
    "BinaryCrossentropy": (K.BinaryCrossentropy(label_smoothing=0.1), "binary"),
    "BinaryFocalCrossentropy": (K.BinaryFocalCrossentropy(True, gamma=0.5), "binary"),
    "a user's elementwise loss": (rmsle, "real"),
    "a user's loss without a mean": (lambda y, p: ops.square(y - p), "real"),
}
_AXIS = {
    "CategoricalCrossentropy": (K.CategoricalCrossentropy(label_smoothing=0.1), "one-hot"),
    "CategoricalFocalCrossentropy": (K.CategoricalFocalCrossentropy(), "one-hot"),
    "CategoricalHinge": (K.CategoricalHinge(), "one-hot"),
    "KLDivergence": (K.KLDivergence(), "real"),
    "CosineSimilarity": (K.CosineSimilarity(), "real"),
    "SparseCategoricalCrossentropy": (K.SparseCategoricalCrossentropy(), "class"),
    "ignore_class": (K.SparseCategoricalCrossentropy(ignore_class=1), "class"),
    "CategoricalGeneralizedCrossEntropy": (K.CategoricalGeneralizedCrossEntropy(), "class"),
    "a user's sum": (lambda y, p: ops.sum(ops.square(y - p), -1), "real"),
}
_BATCH = {
    "Circle": Case(K.Circle(), (CLASSES,), "group", 0),
    "Dice": Case(K.Dice(), (CLASSES,), "binary", 0),
    "Tversky": Case(K.Tversky(0.3, 0.7), (2, 2, CLASSES), "binary", 0),
    "a user's risk sets": Case(PartialLikelihood(), (1,), "survival", 0),
    "a user's ranking": Case(ranking, (1,), "real", 0),
    "a user's mean over the batch": Case(lambda y, p: ops.mean(ops.square(y - p)), (1,), "real", 0),
}


def _cases() -> dict[str, Case]:
    cases = dict(_BATCH)
    for name, (loss, labels) in _ELEMENTWISE.items():
        cases[f"{name}, one"] = Case(loss, (1,), labels)
        cases[f"{name}, several"] = Case(loss, (CLASSES,), labels, 2)
        cases[f"{name}, tokens"] = Case(loss, (TIME, 1), labels, 2)
    for name, (loss, labels) in _AXIS.items():
        cases[f"{name}, one"] = Case(loss, (CLASSES,), labels, activation="softmax")
        cases[f"{name}, tokens"] = Case(loss, (TIME, CLASSES), labels, 2, "softmax")
    interval = Case(box_overlap, (2,), "interval")
    cases["a user's boxes"] = interval
    cases["a user's boxes, tokens"] = dataclasses.replace(interval, shape=(TIME, 2), unit=2)
    cases["a user's loss per example"] = Case(total_error, (TIME, CLASSES))
    cases["CTC"] = Case("ctc", (5, CLASSES), "text")
    cases["Dice of each image"] = Case(K.Dice(axis=(1, 2, 3)), (2, 2, CLASSES), "binary")
    return cases


CASES = _cases()
