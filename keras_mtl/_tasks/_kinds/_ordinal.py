"""The head and the loss of tasks whose classes have an order."""

import dataclasses
import itertools
import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from keras_mtl._keras_internals import logits_of, with_logits
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._reading import Reading
from keras_mtl._types import Tensor

Method = Literal["coral", "corn"]
"""One score with thresholds (`"coral"`), or one conditional probability per step (`"corn"`)."""

_SMALLEST_GAP = 1e-6  # between thresholds, so that each class keeps a probability
_NEVER = -1e30  # a logarithm of 0 with a finite gradient


@keras.saving.register_keras_serializable(package="keras_mtl")
class OrdinalProbabilities(keras.layers.Layer):
    """Turns the logits of an order into probabilities of its classes.

    With K classes and the logits z_1 ... z_(K-1):

        coral: z_k = s + b_k, b_k > b_(k+1),   P(y >= k) = sigmoid(z_k)
        corn:  P(y >= k | y >= k - 1) = sigmoid(z_k)

    The logarithms of the probabilities stay beside them, as logits do beside a softmax: losses
    read those.

    Args:
        num_classes: The number of classes K.
        method: `"coral"` or `"corn"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        logits: Floats `(batch, ..., 1)`, the score s, for `"coral"`; `(batch, ..., K - 1)` for
            `"corn"`.

    Returns:
        Floats `(batch, ..., K)` that sum to 1.

    Example:
        >>> layer = OrdinalProbabilities(3, "corn")
        >>> layer(ops.array([[0.0, 0.0]])).numpy().tolist()
        [[0.5, 0.25, 0.25]]
    """

    def __init__(self, num_classes: int, method: Method = "coral", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_classes, self.method = num_classes, method

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the distances of the thresholds; at first all classes are equally probable."""
        if self.method == "corn":
            return
        # The thresholds are logit(1 - k / K). The bias of the dense map moves all of them.
        thresholds = [math.log((self.num_classes - k) / k) for k in range(1, self.num_classes)]
        distances = [a - b for a, b in itertools.pairwise(thresholds)]
        # The inverse of softplus.
        values = [math.log(math.expm1(distance)) for distance in distances]
        self._first = thresholds[0]
        self.distances = self.add_weight(
            shape=(self.num_classes - 2,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype),
            name="distances",
        )

    def call(self, logits: Tensor) -> Tensor:
        """Computes the probabilities, and keeps their logarithms for losses."""
        log_p = self._coral(logits) if self.method == "coral" else self._corn(logits)
        return with_logits(ops.exp(log_p), log_p)

    def _coral(self, score: Tensor) -> Tensor:
        gaps = ops.softplus(self.distances) + _SMALLEST_GAP
        thresholds = self._first - ops.concatenate([ops.zeros_like(gaps[:1]), ops.cumsum(gaps)])
        z = score + thresholds  # (batch, ..., K - 1), descending
        first, last = ops.log_sigmoid(-z[..., :1]), ops.log_sigmoid(z[..., -1:])
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), without cancellation.
        between = ops.log_sigmoid(z[..., :-1]) + ops.log_sigmoid(-z[..., 1:])
        between = between + ops.log(-ops.expm1(-gaps))
        return ops.concatenate([first, between, last], axis=-1)

    def _corn(self, z: Tensor) -> Tensor:
        reached = ops.cumsum(ops.log_sigmoid(z), axis=-1)  # log P(y >= k), k from 1
        before = ops.concatenate([ops.zeros_like(z[..., :1]), reached[..., :-1]], axis=-1)
        return ops.concatenate([before + ops.log_sigmoid(-z), reached[..., -1:]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input with the classes as its last axis."""
        return (*input_shape[:-1], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "num_classes": self.num_classes, "method": self.method}


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class OrdinalHead(Head):
    """Ends a tower in probabilities of ordered classes.

    Args:
        units: The number of classes.
        activation: A name for messages.
        method: `"coral"` or `"corn"`.

    Example:
        >>> OrdinalHead(5, method="corn").num_logits
        4
    """

    activation: str = "ordinal"
    method: Method = "coral"

    @property
    def num_logits(self) -> int:
        """The size of the dense map: one score, or one logit per step."""
        return 1 if self.method == "coral" else self.units - 1

    def activate(self, logits: Tensor, name: str = "head") -> Tensor:
        """Maps logits `(batch, ..., num_logits)` to probabilities of the classes."""
        layer = OrdinalProbabilities(
            self.units, self.method, dtype="float32", name=f"{name}_ordinal"
        )
        return layer(logits)


@keras.saving.register_keras_serializable(package="keras_mtl")
class OrdinalCrossentropy(keras.losses.Loss):
    """Adds up the binary cross-entropies of the questions whether the class is above k.

    With K classes, and P(y > k) the sum of the probabilities of the classes above k:

        -sum_(k = 0)^(K - 2)  [y > k] log P(y > k) + [y <= k] log P(y <= k)

    It is the loss of `Task.ordinal(method="coral")`, and takes any distribution over classes, that
    of a softmax too. An error by three classes costs more than one by a single class.

    Args:
        num_classes: The number of classes K that predictions must have. Defaults to `None`: as many
            as they have.
        name: Name of the loss.

    Call arguments:
        y_true: Class numbers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Probabilities `(batch, ..., classes)`.

    Example:
        >>> loss = OrdinalCrossentropy()
        >>> p = ops.array([[0.5, 0.25, 0.25]])
        >>> [round(float(loss(ops.array([y]), p)), 4) for y in range(3)]  # log 2 + log 4 / 3, ...
        [0.9808, 0.9808, 2.0794]
    """

    label_kind: ClassVar[str] = "class"
    reading: ClassVar[Reading] = Reading("last axis", sparse=True, takes_zero=True, casts=False)

    def __init__(
        self, num_classes: int | None = None, *, name: str = "ordinal_crossentropy"
    ) -> None:
        super().__init__(name=name)
        self.num_classes = num_classes

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the loss of each class number."""
        log_p = logits_of(y_pred)
        if log_p is None:
            log_p = ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0))
        log_p = ops.log_softmax(ops.cast(log_p, "float32"), axis=-1)
        num_classes = log_p.shape[-1]
        if self.num_classes not in (None, num_classes):
            # A class without a probability would be taken for the highest one that has one.
            raise ValueError(
                f"there are {self.num_classes} ordered classes, and predictions have the shape "
                f"{tuple(log_p.shape)}; their last axis holds one probability per class."
            )
        steps = ops.arange(num_classes - 1)
        is_above = ops.arange(num_classes)[None, :] > steps[:, None]  # [K - 1, K]
        log_p = ops.expand_dims(log_p, -2)
        above = ops.logsumexp(ops.where(is_above, log_p, _NEVER), axis=-1)
        below = ops.logsumexp(ops.where(is_above, _NEVER, log_p), axis=-1)
        classes = ops.cast(y_true, "int32")
        if len(classes.shape) < len(y_pred.shape):
            classes = ops.expand_dims(classes, -1)
        return -ops.sum(ops.where(classes > steps, above, below), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal loss."""
        return {"num_classes": self.num_classes, "name": self.name}
