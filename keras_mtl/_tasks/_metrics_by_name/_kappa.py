"""Cohen's kappa with quadratic weights."""

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._tasks._metrics_by_name._rank_counts import RankCounts
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class Kappa(RankCounts):
    """Computes Cohen's kappa with quadratic weights, between labels and median classes:

        1 - sum_ij (i - j)^2 n_ij / sum_ij (i - j)^2 n_i. n_.j / n

    with the number n_ij of labels i of which the class j is decided. It is 1 for right decisions,
    and 0 for those that know nothing of the label, as in scikit-learn
    (`cohen_kappa_score(weights="quadratic")`).

    Choose it for classes with an order whose frequencies differ: unlike the mean distance, it does
    not reward a constant answer.

    Args:
        num_classes: The number of classes.
        name: Name in the logs. Defaults to `"kappa"`.

    Example:
        >>> metric = Kappa(3)
        >>> metric.update_state([2, 0, 1], [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.0, 0.2, 0.8]])
        >>> round(float(metric.result()), 4)
        0.8

    Reference:
        Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.
    """

    reads = "last axis"

    def __init__(self, num_classes: int, name: str = "kappa") -> None:
        super().__init__(num_classes, name)
        set_direction(self, "up")

    def is_defined(self) -> Tensor:
        """Returns whether labels and decisions are not all of one class."""
        return self._by_chance() > 0.0

    def result(self) -> Tensor:
        """Returns the value so far; 0 where all labels and decisions are one class."""
        costs = ops.sum(self.counts * ops.square(self.distances()))
        by_chance = self._by_chance()
        return ops.where(by_chance > 0.0, 1.0 - ops.divide_no_nan(costs, by_chance), 0.0)

    def _by_chance(self) -> Tensor:
        """Returns the cost of decisions that come as often, but independent of the labels."""
        labels, decisions = ops.sum(self.counts, axis=1), ops.sum(self.counts, axis=0)
        costs = ops.square(self.distances())
        return ops.divide_no_nan(
            ops.sum(labels[:, None] * decisions[None, :] * costs), ops.sum(self.counts)
        )
