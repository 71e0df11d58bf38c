"""The mean area under the ROC curve of lists."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class GroupAUC(keras.metrics.Metric):
    """Computes the mean over lists of the area under their ROC curves (GAUC):

        sum_u n_u AUC_u / sum_u n_u

    with the sum n_u of the weights of a list's items. Lists without items of both kinds do not
    count, and neither do items without a weight.

    Choose it where only the order within a group matters, such as the candidates that one user
    was shown; an AUC over all groups also rewards a model that knows which users click a lot.
    Bring each group as one example, with an output `(batch, items)` or `(batch, items, 1)`. It
    compares all pairs of a list: `batch * items^2` numbers.

    Args:
        name: Name in the logs. Defaults to `"gauc"`.

    Call arguments:
        y_true: Labels 0 and 1, `(batch, items)`.
        y_pred: Scores `(batch, items)`.
        sample_weight: `None`, or weights `(batch, items)`; 0 for an item that is not there.

    Example:
        >>> metric = GroupAUC()
        >>> metric.update_state([[1, 0, 0], [0, 1, 1]], [[0.9, 0.8, 0.7], [0.2, 0.1, 0.3]])
        >>> float(metric.result())
        0.75

    Reference:
        Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018.
    """

    reads = "list"
    kinds: ClassVar[tuple[str, ...]] = ("yes or no", "scores")

    def __init__(self, name: str = "gauc") -> None:
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
        is_positive = ops.cast(y_true, "bool")
        positives = ops.where(is_positive, weights, 0.0)
        negatives = ops.where(is_positive, 0.0, weights)
        # Each item against each other one of its list: [batch, item, other item].
        first, second = scores[:, :, None], scores[:, None, :]
        order = ops.cast(first > second, "float32") + 0.5 * ops.cast(
            ops.equal(first, second), "float32"
        )
        in_order = ops.einsum("bi,bij,bj->b", positives, order, negatives)
        pairs = ops.sum(positives, axis=-1) * ops.sum(negatives, axis=-1)
        areas = ops.divide_no_nan(in_order, pairs)
        of_list = ops.where(pairs > 0.0, ops.sum(weights, axis=-1), 0.0)
        self.sums.assign_add(ops.stack([ops.sum(areas * of_list), ops.sum(of_list)]))

    def is_defined(self) -> Tensor:
        """Returns whether a list has items of both kinds."""
        return self.sums[1] > 0.0

    def result(self) -> Tensor:
        """Returns the mean so far; 0 if no list has items of both kinds."""
        return ops.divide_no_nan(self.sums[0], self.sums[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"name": self.name}
