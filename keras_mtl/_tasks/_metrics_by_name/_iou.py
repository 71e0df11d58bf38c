"""Intersection over union of classes."""

from typing import Any

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._class_counts import ClassCounts, mean_where
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class IoU(ClassCounts):
    """Computes the intersection over union of labels and predicted classes:

        mean_c TP_c / (TP_c + FP_c + FN_c)

    over the classes that are a label or a prediction at least once, or of the label 1 alone. It
    is `jaccard_score` of scikit-learn, with `average="macro"` and `"binary"`.

    Choose it for segmentation, where most pixels are background.

    Args:
        num_classes: The number of classes. Defaults to `2`.
        threshold: The prediction above which a single entry means class 1. Defaults to `0.5`.
        ones_only: Whether to show the value of class 1, instead of the mean. Defaults to `False`.
        name: Name in the logs. Defaults to `"iou"`.

    Example:
        >>> metric = IoU(num_classes=3)
        >>> metric.update_state([0, 1, 1], [[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
        >>> float(metric.result())
        0.5
    """

    reads = "last axis"

    def __init__(
        self,
        num_classes: int = 2,
        threshold: float = 0.5,
        ones_only: bool = False,
        name: str = "iou",
    ) -> None:
        super().__init__(num_classes, threshold, name)
        self.ones_only = ones_only

    def result(self) -> Tensor:
        """Returns the value so far."""
        labels, predictions, hits = ops.unstack(self.counts, 3)
        unions = labels + predictions - hits
        values = ops.divide_no_nan(hits, unions)
        return values[1] if self.ones_only else mean_where(values, unions > 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {**super().get_config(), "ones_only": self.ones_only}
