"""The head and the loss of times until an event, by the hazards of bins of time."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of, with_parameters
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor


def check_widths(labels: Tensor, prediction: Tensor, width: int) -> None:
    """Checks that labels are rows of time and event, and predictions rows of `width` numbers.

    Raises:
        ValueError: If not, as far as shapes are known.
    """
    shapes = tuple(labels.shape), tuple(prediction.shape)
    for shape, expected in zip(shapes, (2, width), strict=True):
        if len(shape) != 2 or shape[1] not in (None, expected):
            raise ValueError(
                f"labels have the shape {shapes[0]} and predictions {shapes[1]}; expected a time "
                f"and an event per example, (batch, 2), and predictions (batch, {width})."
            )


def read_bins(labels: Tensor, bins: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Returns how many bins each example has survived, and whether its event came then.

    An event at time t lies in the bin whose end is the first that is not before t. An example that
    was observed until t without an event has survived the bins that ended by then.

    Args:
        labels: Times and events `(batch, 2)`; an event is 1, the end of an observation 0.
        bins: The ends of the bins, ascending.

    Returns:
        int32 `(batch,)`, from 0 to the number of bins, and booleans `(batch,)`.
    """
    labels = ops.cast(labels, "float32")
    times, is_event = labels[:, :1], labels[:, 1] > 0.5
    ends = ops.convert_to_tensor(list(bins), "float32")
    before = ops.sum(ops.cast(ends < times, "int32"), axis=-1)
    survived = ops.sum(ops.cast(ends <= times, "int32"), axis=-1)
    return ops.where(is_event, before, survived), is_event


@keras.saving.register_keras_serializable(package="keras_mtl")
class SurvivalCurve(keras.layers.Layer):
    """Turns the logits of hazards into the probabilities to survive the bins of time.

    With the hazard h_j = sigmoid(z_j), the probability of an event in bin j for whoever has
    survived those before it:

        S_j = (1 - h_1) ... (1 - h_j)

    The logits stay beside the curve, and the loss reads those.

    Call arguments:
        logits: Floats `(batch, bins)`.

    Returns:
        Floats of the same shape, falling along the last axis.

    Example:
        >>> SurvivalCurve()(ops.array([[0.0, 0.0]])).numpy().tolist()
        [[0.5, 0.25]]
    """

    def call(self, logits: Tensor) -> Tensor:
        """Computes the curve, and keeps the logits for the loss."""
        curve = ops.exp(-ops.cumsum(ops.softplus(logits), axis=-1))
        return with_parameters(curve, logits)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class SurvivalHead(Head):
    """Ends a tower in a survival curve.

    Args:
        units: The number of bins of time.
        activation: A name for messages.

    Example:
        >>> SurvivalHead(4)(keras.Input((8,)), "relapse").shape
        (None, 4)
    """

    activation: str = "survival"

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Maps logits of hazards `(batch, bins)` to the curve."""
        return SurvivalCurve(dtype="float32", name=f"{name}_survival")(logits)


@keras.saving.register_keras_serializable(package="keras_mtl")
class HazardLikelihood(keras.losses.Loss):
    """Computes the negative log-likelihood of times until an event, in bins of time.

    With the hazard h_j of bin j, for an example that has survived n bins:

        event in the next bin:  -log(1 - h_1) - ... - log(1 - h_n) - log h_(n + 1)
        no event yet:           -log(1 - h_1) - ... - log(1 - h_n)

    An event after the last bin is none yet. It is the loss of `Task.survival`, computed from the
    logits of the hazards.

    Args:
        levels: The ends of the bins, ascending.
        name: Name of the loss.

    Call arguments:
        y_true: Times and events `(batch, 2)`.
        y_pred: Survival curves `(batch, bins)`.

    Example:
        >>> loss = HazardLikelihood([1.0, 2.0])
        >>> curve = SurvivalCurve()(ops.array([[0.0, 0.0]] * 2))
        >>> values = loss.call(ops.array([[1.5, 1.0], [1.5, 0.0]]), curve)
        >>> [round(value, 4) for value in values.numpy().tolist()]  # 2 log 2, log 2
        [1.3863, 0.6931]

    Reference:
        Gensheimer and Narasimhan, "A scalable discrete-time survival model for neural networks"
        (arXiv:1805.00917). There an observation that ends in the second half of a bin has
        survived it; here, one that ends at its end or later.
    """

    label_kind: ClassVar[str] = "survival"
    is_likelihood: ClassVar[bool] = True
    reading: ClassVar[Reading] = Reading("last axis", takes_zero=True)

    def __init__(self, levels: Sequence[float], name: str = "hazard_likelihood") -> None:
        super().__init__(name=name)
        self.levels = tuple(float(level) for level in levels)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each example."""
        num_bins = len(self.levels)
        check_widths(y_true, y_pred, num_bins)
        log_survival, log_hazard = _logarithms(y_pred)
        count, is_event = read_bins(y_true, self.levels)
        positions = ops.arange(num_bins)[None, :]
        survived = ops.where(positions < count[:, None], log_survival, 0.0)
        happened = ops.logical_and(is_event[:, None], ops.equal(positions, count[:, None]))
        return -ops.sum(survived + ops.where(happened, log_hazard, 0.0), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"levels": list(self.levels), "name": self.name}


def _logarithms(curve: Tensor) -> tuple[Tensor, Tensor]:
    """Returns log(1 - h) and log h of each bin."""
    logits = logits_of(curve)
    if logits is not None:
        logits = ops.cast(logits, "float32")
        return ops.log_sigmoid(-logits), ops.log_sigmoid(logits)
    epsilon = keras.config.epsilon()
    logs = ops.log(ops.clip(ops.cast(curve, "float32"), epsilon, 1.0))
    before = ops.concatenate([ops.zeros_like(logs[:, :1]), logs[:, :-1]], axis=-1)
    steps = ops.minimum(logs - before, -epsilon)
    return steps, ops.log(-ops.expm1(steps))
