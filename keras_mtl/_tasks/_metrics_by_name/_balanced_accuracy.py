"""The mean recall of classes."""

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._class_counts import ClassCounts, mean_where
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class BalancedAccuracy(ClassCounts):
    """Computes the mean over the classes of the share of their labels that are predicted:

        mean_c TP_c / (TP_c + FN_c)

    over the classes that have labels. It is `balanced_accuracy_score` of scikit-learn. A
    constant prediction has 1 / C with C classes, whatever their rates are.

    Choose it instead of accuracy where classes are of different sizes.

    Args:
        num_classes: The number of classes. Defaults to `2`.
        threshold: The prediction above which a single entry means class 1. Defaults to `0.5`.
        name: Name in the logs. Defaults to `"balanced_accuracy"`.

    Example:
        >>> metric = BalancedAccuracy()
        >>> metric.update_state([[1], [0], [0], [0]], [[0.3], [0.2], [0.1], [0.4]])
        >>> float(metric.result())
        0.5
    """

    reads = "last axis"

    def __init__(
        self, num_classes: int = 2, threshold: float = 0.5, name: str = "balanced_accuracy"
    ) -> None:
        super().__init__(num_classes, threshold, name)

    def result(self) -> Tensor:
        """Returns the mean so far."""
        labels, _, hits = ops.unstack(self.counts, 3)
        return mean_where(ops.divide_no_nan(hits, labels), labels > 0.0)
