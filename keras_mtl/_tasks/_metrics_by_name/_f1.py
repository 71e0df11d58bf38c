"""The F1 score of yes-or-no labels."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._tasks._metrics_by_name._class_counts import ClassCounts
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class F1(ClassCounts):
    """Computes the F1 score of the label 1, of all labels together:

        2 TP / (2 TP + FP + FN)

    with the true and the false positives TP and FP, and the false negatives FN. It is 0 if there
    is no positive label and no positive prediction, as in scikit-learn. Of several labels per
    example it is the micro average.

    Choose it for rare positives at a fixed threshold; for the mean over classes or over columns,
    take `MacroF1`.

    Args:
        threshold: The prediction above which a label counts as 1. Defaults to `0.5`.
        name: Name in the logs. Defaults to `"f1"`.

    Example:
        >>> metric = F1()
        >>> metric.update_state([[1], [0], [0], [1]], [[0.9], [0.2], [0.7], [0.3]])
        >>> float(metric.result())
        0.5
    """

    reads = "element"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no",)

    def __init__(self, threshold: float = 0.5, name: str = "f1") -> None:
        super().__init__(2, threshold, name)

    def result(self) -> Tensor:
        """Returns the score so far."""
        labels, predictions, hits = ops.unstack(self.counts[:, 1], 3)
        return ops.divide_no_nan(2.0 * hits, labels + predictions)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"threshold": self.threshold, "name": self.name}
