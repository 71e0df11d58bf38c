"""The loss of a contrastive task."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.data._elements._numbers import read_number


@keras.saving.register_keras_serializable(package="keras_mtl")
class NTXent(keras.losses.Loss):
    """Computes the normalized, temperature-scaled cross-entropy of finding the other view of a row.

    With embeddings z_i, their cosines s_ij and the temperature T, for each row i and the rows j
    that have its label:

        -log(exp(s_ij / T) / sum_{k != i} exp(s_ik / T))

    averaged over the pairs (i, j). Rows are compared with all rows of the global batch that have a
    label: those of weight 0 are neither anchors nor negatives. Rows without a partner do not count,
    but others are compared with them.

    Choose it through `unlabeled.contrastive`.

    Args:
        temperature: T, above 0. Defaults to `0.5`.
        name: Optional name.

    Raises:
        ValueError: If the temperature is not positive.

    Example:
        >>> z = [[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [-0.6, 0.8]]
        >>> round(float(NTXent()(ops.array([0, 1, 0, 1]), ops.array(z))), 4)
        0.4302

    Reference:
        SimCLR, Chen et al. 2020, arXiv:2002.05709.
    """

    reads = "batch"
    label_kind = "unknown"

    def __init__(
        self, temperature: float = 0.5, *, name: str | None = "nt_xent", **kwargs: Any
    ) -> None:
        kwargs = {key: value for key, value in kwargs.items() if key in ("reduction", "dtype")}
        super().__init__(name=name, **kwargs)
        self.temperature = read_number(temperature, "NTXent: temperature is", low=0, above=True)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the mean over all pairs of rows with one label; 0 if there is no pair."""
        # In float32: cosines over a small temperature leave the range of half precision.
        embeddings = ops.cast(y_pred, "float32")
        embeddings = embeddings / ops.maximum(
            ops.sqrt(ops.sum(ops.square(embeddings), axis=-1, keepdims=True)), 1e-12
        )
        size = ops.shape(embeddings)[0]
        labels = ops.reshape(y_true, (size,))
        is_self = ops.cast(ops.eye(size), "bool")
        logits = ops.matmul(embeddings, ops.transpose(embeddings)) / self.temperature
        # A row is not compared with itself.
        logits = ops.where(is_self, -1e9, logits)
        logarithms = ops.log_softmax(logits, axis=-1)
        same = ops.equal(labels[:, None], labels[None, :])
        pairs = ops.cast(ops.logical_and(same, ops.logical_not(is_self)), "float32")
        return -ops.divide_no_nan(ops.sum(pairs * logarithms), ops.sum(pairs))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {"temperature": self.temperature, "name": self.name, "reduction": self.reduction}
