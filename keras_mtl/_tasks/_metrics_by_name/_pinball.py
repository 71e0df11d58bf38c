"""The mean pinball loss of quantiles, in the unit of the labels."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._tasks._kinds._quantiles import pinball
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class PinballLoss(keras.metrics.Metric):
    """Computes the mean pinball loss of quantiles, over labels and levels:

        mean max(t e, (t - 1) e),   e = y - q_t

    in the unit of the labels, whatever the task's scale is. Of one level it is scikit-learn's
    `mean_pinball_loss`. With many levels it is half of the continuous ranked probability score.

    Args:
        levels: The levels of the quantiles.
        name: Name in the logs. Defaults to `"pinball"`.

    Example:
        >>> metric = PinballLoss([0.1, 0.5, 0.9])
        >>> metric.update_state([3.0], [[1.0, 2.5, 4.0]])
        >>> round(float(metric.result()), 4)
        0.1833
    """

    reads = "last axis"
    kinds: ClassVar[tuple[str, ...]] = ("quantiles",)

    def __init__(self, levels: Sequence[float], name: str = "pinball") -> None:
        super().__init__(name=name)
        set_direction(self, "down")
        self.levels = [float(level) for level in levels]
        self.sums = self.add_variable((2,), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch: labels `(labels,)`, quantiles `(labels, levels)`."""
        predictions = ops.cast(y_pred, "float32")
        values = ops.mean(pinball(y_true, predictions, self.levels), axis=-1)
        weights = ops.ones_like(values)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        self.sums.assign_add(ops.stack([ops.sum(weights * values), ops.sum(weights)]))

    def is_defined(self) -> Tensor:
        """Returns whether there is a label."""
        return self.sums[1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean so far; 0 without labels."""
        return ops.divide_no_nan(self.sums[0], self.sums[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"levels": self.levels, "name": self.name}
