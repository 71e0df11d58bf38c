"""The mean F1 score of classes."""

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._class_counts import ClassCounts, mean_where
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class MacroF1(ClassCounts):
    """Computes the mean over the classes of their F1 scores:

        mean_c 2 TP_c / (2 TP_c + FP_c + FN_c)

    over the classes that are a label or a prediction at least once, as in scikit-learn. (Keras's
    `F1Score(average="macro")` counts the other classes as 0.) The name `"macro_f1"` stands for the
    mean over the columns where a task has several yes-or-no labels.

    Choose it where rare classes matter as much as frequent ones.

    Args:
        num_classes: The number of classes. Defaults to `2`.
        threshold: The prediction above which a single entry means class 1. Defaults to `0.5`.
        name: Name in the logs. Defaults to `"macro_f1"`.

    Example:
        >>> metric = MacroF1(num_classes=3)
        >>> metric.update_state([0, 1, 1], [[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    reads = "last axis"

    def __init__(
        self, num_classes: int = 2, threshold: float = 0.5, name: str = "macro_f1"
    ) -> None:
        super().__init__(num_classes, threshold, name)

    def result(self) -> Tensor:
        """Returns the mean so far."""
        labels, predictions, hits = ops.unstack(self.counts, 3)
        scores = ops.divide_no_nan(2.0 * hits, labels + predictions)
        return mean_where(scores, labels + predictions > 0.0)
