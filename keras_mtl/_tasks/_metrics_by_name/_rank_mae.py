"""The mean distance between ordered classes."""

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._tasks._metrics_by_name._rank_counts import RankCounts
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class RankMAE(RankCounts):
    """Computes the mean distance of the median class from the label, in classes:

        mean |y - m|,   m = the number of k with P(y > k) > 1/2

    Choose it for classes with an order, `Task.ordinal`. It also judges `Task.multiclass`, if its
    classes have one.

    Args:
        num_classes: The number of classes.
        name: Name in the logs. Defaults to `"rank_mae"`.

    Example:
        >>> metric = RankMAE(3)
        >>> metric.update_state([2, 0], [[0.6, 0.3, 0.1], [0.3, 0.4, 0.3]])
        >>> float(metric.result())  # (2 + 1) / 2
        1.5
    """

    reads = "last axis"

    def __init__(self, num_classes: int, name: str = "rank_mae") -> None:
        super().__init__(num_classes, name)
        set_direction(self, "down")

    def result(self) -> Tensor:
        """Returns the mean so far; 0 without labels."""
        return ops.divide_no_nan(ops.sum(self.counts * self.distances()), ops.sum(self.counts))
