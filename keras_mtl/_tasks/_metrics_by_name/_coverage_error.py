"""How far the shares of labels below their quantiles are from the levels."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class CoverageError(keras.metrics.Metric):
    """Computes how far the shares of labels that lie below the quantiles are from the levels:

        mean_t |share(y <= q_t) - t|

    It is 0 for quantiles that hold what they say, on average over the examples; that they are
    narrow is judged by `PinballLoss`. With n labels, it is about 0.8 sqrt(t (1 - t) / n) by chance.

    Args:
        levels: The levels of the quantiles.
        name: Name in the logs. Defaults to `"coverage_error"`.

    Example:
        >>> metric = CoverageError([0.5])
        >>> metric.update_state([1.0, 2.0, 3.0, 4.0], [[2.5], [2.5], [3.5], [3.5]])
        >>> float(metric.result())  # three of four labels lie below
        0.25
    """

    reads = "last axis"
    kinds: ClassVar[tuple[str, ...]] = ("quantiles",)

    def __init__(self, levels: Sequence[float], name: str = "coverage_error") -> None:
        super().__init__(name=name)
        set_direction(self, "down")
        self.levels = [float(level) for level in levels]
        # The weight of labels below each quantile, and that of all labels.
        self.sums = self.add_variable((len(self.levels) + 1,), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch: labels `(labels,)`, quantiles `(labels, levels)`."""
        quantiles = ops.cast(y_pred, "float32")
        labels = ops.reshape(ops.cast(y_true, "float32"), (-1, 1))
        weights = ops.ones_like(labels)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        below = ops.sum(weights * ops.cast(labels <= quantiles, "float32"), axis=0)
        self.sums.assign_add(ops.concatenate([below, ops.sum(weights, axis=0)]))

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return self.sums[-1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean over the levels so far; 0 without labels."""
        shares = ops.divide_no_nan(self.sums[:-1], self.sums[-1])
        errors = ops.mean(ops.abs(shares - ops.convert_to_tensor(self.levels)))
        return ops.where(self.is_defined(), errors, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"levels": self.levels, "name": self.name}
