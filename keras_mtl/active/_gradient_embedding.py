"""What the label of a row would change in the last layer of a task."""

import dataclasses

import numpy as np

from keras_mtl.active._asking._distributions import FloatArray


@dataclasses.dataclass(frozen=True)
class GradientEmbedding:
    """Holds, for each row, the gradient that the likeliest label would give to the last layer.

    The gradient of row i is the outer product of `errors[i]` and `features[i]`, which is never
    built: the two factors tell its length and all distances. `active.gradient_embeddings` makes
    it, and `active.choose` draws labels by it.

    Args:
        errors: Prediction minus the likeliest label, `[rows, classes]`.
        features: What the last layer reads, `[rows, units]`.

    Raises:
        ValueError: If the two have different numbers of rows.

    Example:
        >>> rows = GradientEmbedding(np.array([[-0.5, 0.3, 0.2]]), np.array([[1.0, 2.0]]))
        >>> rows.vectors()[0].round(4).tolist()
        [-0.5, -1.0, 0.3, 0.6, 0.2, 0.4]
        >>> round(float(rows.squared_lengths()[0]), 4)
        1.9
    """

    errors: FloatArray
    features: FloatArray

    def __post_init__(self) -> None:
        if self.errors.ndim != 2 or self.features.ndim != 2 or len(self.errors) != len(self):
            raise ValueError(
                "errors must be [rows, classes] and features [rows, units]; received the shapes "
                f"{self.errors.shape} and {self.features.shape}."
            )

    def __len__(self) -> int:
        return len(self.features)

    def vectors(self) -> FloatArray:
        """Returns the gradients themselves, `[rows, classes * units]`."""
        products: FloatArray = self.errors[:, :, None] * self.features[:, None, :]
        return products.reshape(len(self), -1)

    def squared_lengths(self) -> FloatArray:
        """Returns the squared length of each gradient, `[rows]`."""
        result: FloatArray = np.square(self.errors).sum(1) * np.square(self.features).sum(1)
        return result

    def squared_distances(self, row: int) -> FloatArray:
        """Returns the squared distance of each gradient from that of one row, `[rows]`."""
        lengths = self.squared_lengths()
        products = (self.errors @ self.errors[row]) * (self.features @ self.features[row])
        distances: FloatArray = np.maximum(lengths + lengths[row] - 2.0 * products, 0.0)
        distances[row] = 0.0
        return distances
