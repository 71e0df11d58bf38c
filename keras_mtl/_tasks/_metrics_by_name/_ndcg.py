"""Normalized discounted cumulative gain of lists."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class NDCG(keras.metrics.Metric):
    """Computes the normalized discounted cumulative gain of lists, one list per example:

        DCG = sum_i y_i / log2(1 + r_i)
        NDCG = DCG / DCG of the best order

    with the relevance y_i of an item and its rank r_i by the score, beginning with 1. Items of
    equal scores share the mean of their discounts. The result is the mean over the lists,
    weighted by the mean weight of their items. A list without a relevant item counts as 0, as in
    scikit-learn (`ndcg_score`); an item without a weight is no part of its list.

    Choose it for tasks whose output is a list of scores per example, `(batch, items)` or
    `(batch, items, 1)`. It compares all pairs of a list: `batch * items^2` numbers.

    Args:
        k: The number of ranks that count. Defaults to `None`: all.
        name: Name in the logs. Defaults to `"ndcg"`.

    Call arguments:
        y_true: Relevances of at least 0, `(batch, items)`.
        y_pred: Scores `(batch, items)`.
        sample_weight: `None`, or weights `(batch, items)`; 0 for an item that is not there.

    Example:
        >>> metric = NDCG()
        >>> metric.update_state([[3, 0, 1]], [[0.1, 0.7, 0.2]])
        >>> round(float(metric.result()), 4)
        0.5869

    Reference:
        Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM
        Transactions on Information Systems 20, 2002. McSherry and Najork, "Computing Information
        Retrieval Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008.
    """

    reads = "list"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "number", "scores")

    def __init__(self, k: int | None = None, name: str = "ndcg") -> None:
        super().__init__(name=name)
        if k is not None and k < 1:
            raise ValueError(f"{name}: k must be at least 1; received {k}")
        set_direction(self, "up")
        self.k = k
        self.sums = self.add_variable((2,), "zeros", name="sums")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the lists of a batch."""
        relevances = ops.cast(y_true, "float32")
        scores = ops.cast(y_pred, "float32")
        weights = ops.ones_like(scores)
        if sample_weight is not None:
            weights = ops.cast(sample_weight, "float32")
        valid = weights != 0.0
        relevances = ops.where(valid, relevances, 0.0)
        gains = self._gain(relevances, scores, valid)
        best = self._gain(relevances, relevances, valid)
        values = ops.where(best > 0.0, ops.divide_no_nan(gains, best), 0.0)
        num_items = ops.sum(ops.cast(valid, "float32"), axis=-1)
        of_list = ops.divide_no_nan(ops.sum(weights, axis=-1), num_items)
        self.sums.assign_add(ops.stack([ops.sum(values * of_list), ops.sum(of_list)]))

    def _gain(self, relevances: Tensor, scores: Tensor, valid: Tensor) -> Tensor:
        """Returns the discounted gain of each list, in the order of the scores."""
        # Each item against each other one of its list: [batch, item, other item].
        counted = valid[:, None, :]
        higher = ops.logical_and(counted, scores[:, None, :] > scores[:, :, None])
        equal = ops.logical_and(counted, ops.equal(scores[:, None, :], scores[:, :, None]))
        above = ops.sum(ops.cast(higher, "int32"), axis=-1)
        tied = ops.sum(ops.cast(equal, "int32"), axis=-1)
        ranks = ops.arange(1, ops.shape(scores)[1] + 1)
        discounts = 1.0 / ops.log2(1.0 + ops.cast(ranks, "float32"))
        if self.k is not None:
            discounts = ops.where(ranks <= self.k, discounts, 0.0)
        # The sum of the discounts of the first n ranks, at position n.
        sums = ops.concatenate([ops.zeros((1,)), ops.cumsum(discounts)])
        of_item = ops.take(sums, above + tied) - ops.take(sums, above)
        of_item = ops.divide_no_nan(of_item, ops.cast(tied, "float32"))
        return ops.sum(relevances * of_item, axis=-1)

    def is_defined(self) -> Tensor:
        """Returns whether there is a list."""
        return self.sums[1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean so far; 0 without lists."""
        return ops.divide_no_nan(self.sums[0], self.sums[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"k": self.k, "name": self.name}
