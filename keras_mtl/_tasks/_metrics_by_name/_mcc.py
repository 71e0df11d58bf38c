"""Matthews's correlation coefficient."""

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._class_counts import ClassCounts
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class MCC(ClassCounts):
    """Computes Matthews's correlation coefficient of labels and predicted classes:

        (c s - sum_k t_k p_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2))

    with the number of labels s, of hits c, of labels t_k and of predictions p_k of the class k
    (`matthews_corrcoef` of scikit-learn). It is 0 where one of them is constant, and 1 where all
    predictions are right.

    Choose it as one number for both kinds of error where classes are of different sizes.

    Args:
        num_classes: The number of classes. Defaults to `2`.
        threshold: The prediction above which a single entry means class 1. Defaults to `0.5`.
        name: Name in the logs. Defaults to `"mcc"`.

    Example:
        >>> metric = MCC()
        >>> metric.update_state([[1], [0], [0], [1]], [[0.9], [0.2], [0.7], [0.8]])
        >>> round(float(metric.result()), 4)
        0.5774

    Reference:
        Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
        Computational Biology and Chemistry 28, 2004.
    """

    reads = "last axis"

    def __init__(self, num_classes: int = 2, threshold: float = 0.5, name: str = "mcc") -> None:
        super().__init__(num_classes, threshold, name)

    def result(self) -> Tensor:
        """Returns the coefficient so far."""
        # In double precision: for rare classes the differences are small.
        counts = ops.cast(self.counts, "float64")
        labels, predictions, hits = ops.unstack(ops.divide_no_nan(counts, ops.sum(counts[0])), 3)
        covariance = ops.sum(hits) - ops.sum(labels * predictions)
        variances = ops.stack(
            [ops.sum(rates) ** 2 - ops.sum(rates**2) for rates in (labels, predictions)]
        )
        # The coefficient of a constant is 0, and not the rounding error of two zeros.
        scale = ops.where(ops.min(variances) < 1e-12, 0.0, ops.sqrt(ops.prod(variances)))
        return ops.cast(ops.divide_no_nan(covariance, scale), "float32")
