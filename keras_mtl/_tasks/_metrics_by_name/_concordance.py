"""The concordance index of times until an event."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._tasks._kinds._hazards import read_bins
from keras_mtl._types import Tensor

_LEVELS = 2048
_RANGE = 16.0  # of scores; a probability of 1e-7 has the logit -16


@keras.saving.register_keras_serializable(package="keras_mtl")
class Concordance(keras.metrics.Metric):
    """Computes the share of pairs of examples that are predicted in the right order.

    A pair counts if one of the two has an event in a bin that the other is known to survive. It is
    right if the other one has the higher score, and half right if the scores are equal. The score
    of a survival curve is the logit of its mean, that of a Cox model the negative log hazard ratio.
    It is Harrell's index of times in bins: 0.5 for predictions that know nothing, 1 for the right
    order.

    All pairs count, also those of two batches: numbers of examples are kept per bin and level of
    the score (2,048 levels from -16 to 16), and scores of one level are equal.

    Args:
        levels: The ends of the bins of time.
        name: Name in the logs. Defaults to `"concordance"`.

    Call arguments:
        y_true: Times and events `(examples, 2)`.
        y_pred: Survival curves `(examples, bins)`, or log hazard ratios `(examples, 1)`.
        sample_weight: `None`, or weights `(examples,)`; a pair weighs their product.

    Example:
        >>> metric = Concordance([1.0, 2.0])
        >>> labels = [[0.5, 1.0], [1.5, 1.0], [3.0, 0.0]]
        >>> metric.update_state(labels, [[0.4, 0.2], [0.9, 0.8], [0.8, 0.7]])
        >>> round(float(metric.result()), 4)  # two of three pairs
        0.6667

    Reference:
        Harrell et al., "Evaluating the Yield of Medical Tests", JAMA 247, 1982.
    """

    reads = "row"
    kinds: ClassVar[tuple[str, ...]] = ("survival",)

    def __init__(self, levels: Sequence[float], name: str = "concordance") -> None:
        super().__init__(name=name)
        set_direction(self, "up")
        self.levels = [float(level) for level in levels]
        shape = (2, len(self.levels) + 1, _LEVELS)
        # Of examples with an event, and of all: by the bins survived and the level of the score.
        self.counts = self.add_variable(shape, "zeros", name="counts")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the examples of a batch."""
        curves = ops.cast(y_pred, "float32")
        num_bins = len(self.levels)
        if curves.shape[-1] == num_bins and num_bins > 1:
            means = ops.clip(ops.mean(curves, axis=-1), 1e-7, 1.0 - 1e-7)
            scores = ops.log(means) - ops.log1p(-means)
        else:
            scores = -curves[:, 0]
        places = (ops.clip(scores, -_RANGE, _RANGE) + _RANGE) * ((_LEVELS - 1) / (2 * _RANGE))
        count, is_event = read_bins(y_true, self.levels)
        cells = count * _LEVELS + ops.cast(ops.round(places), "int32")
        weights = ops.ones_like(scores)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        events = ops.where(is_event, weights, 0.0)
        sums = [
            ops.segment_sum(values, cells, num_segments=(num_bins + 1) * _LEVELS)
            for values in (events, weights)
        ]
        self.counts.assign_add(ops.reshape(ops.stack(sums), self.counts.shape))

    def _pairs(self) -> tuple[Tensor, Tensor]:
        """Returns the weight of pairs in the right order, and of all pairs."""
        events, everyone = self.counts[0], self.counts[1]
        total = ops.sum(everyone, axis=0, keepdims=True)
        later = total - ops.cumsum(everyone, axis=0)  # that have survived more bins
        sums = ops.cumsum(later, axis=1)
        above = sums[:, -1:] - sums
        # Differences of sums of floats may fall below 0 by rounding.
        right = ops.sum(events * (ops.maximum(above, 0.0) + 0.5 * ops.maximum(later, 0.0)))
        return right, ops.sum(events * sums[:, -1:])

    def is_defined(self) -> Tensor:
        """Returns whether there is a pair to compare."""
        return self._pairs()[1] > 0.0

    def result(self) -> Tensor:
        """Returns the share so far; 0 without pairs."""
        right, pairs = self._pairs()
        return ops.divide_no_nan(right, pairs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"levels": self.levels, "name": self.name}
