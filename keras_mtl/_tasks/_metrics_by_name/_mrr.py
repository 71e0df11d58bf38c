"""The mean reciprocal rank of the first relevant item."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class MRR(keras.metrics.Metric):
    """Computes the mean over lists of 1 / r, with the rank r of the first relevant item.

    An item is relevant if its label is above 0. Items of equal scores count half above each other.
    A list without a relevant item counts as 0, and an item without a weight is no part of its list.

    Choose it where only the first hit matters: search for one page, answers to a question. Where
    several items are relevant, or more relevant than others, `NDCG` sees all of them.

    Args:
        name: Name in the logs. Defaults to `"mrr"`.

    Call arguments:
        y_true: Relevances of at least 0, `(batch, items)`.
        y_pred: Scores `(batch, items)`.
        sample_weight: `None`, or weights `(batch, items)`; 0 for an item that is not there.

    Example:
        >>> metric = MRR()
        >>> metric.update_state([[1, 0, 0], [0, 0, 1]], [[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
        >>> round(float(metric.result()), 4)  # the mean of 1 and 1 / 3
        0.6667
    """

    reads = "list"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "number", "scores")

    def __init__(self, name: str = "mrr") -> None:
        super().__init__(name=name)
        set_direction(self, "up")
        self.sums = self.add_variable((2,), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the lists of a batch."""
        scores = ops.cast(y_pred, "float32")
        weights = ops.ones_like(scores)
        if sample_weight is not None:
            weights = ops.cast(sample_weight, "float32")
        valid = weights != 0.0
        relevant = ops.logical_and(valid, ops.cast(y_true, "float32") > 0.0)
        best = ops.max(ops.where(relevant, scores, -float("inf")), axis=-1, keepdims=True)
        rest = ops.cast(ops.logical_and(valid, ops.logical_not(relevant)), "float32")
        above = ops.cast(scores > best, "float32") + 0.5 * ops.cast(
            ops.equal(scores, best), "float32"
        )
        ranks = 1.0 + ops.sum(rest * above, axis=-1)
        values = ops.where(ops.any(relevant, axis=-1), 1.0 / ranks, 0.0)
        sizes = ops.sum(ops.cast(valid, "float32"), axis=-1)
        of_list = ops.divide_no_nan(ops.sum(weights, axis=-1), sizes)
        self.sums.assign_add(ops.stack([ops.sum(values * of_list), ops.sum(of_list)]))

    def is_defined(self) -> Tensor:
        """Returns whether there is a list."""
        return self.sums[1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean so far; 0 without lists."""
        return ops.divide_no_nan(self.sums[0], self.sums[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"name": self.name}
