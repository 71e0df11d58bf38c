"""A penalty on what two sets of features have in common (Bousmalis et al., 2016)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._replicas import add_loss_of_sums, check_added_losses
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class Orthogonality(keras.layers.Layer):
    """Passes features on, and penalizes their overlap with other features of the same examples.

    With S `(rows, m)` the shared and P `(rows, n)` the private features of a batch, it adds

        strength |S^T P|_F^2 / rows^2

    to the loss: the sum of the squares of all products of two channels, averaged over the rows.

    Choose it beside shared and private bodies, so that the private ones do not learn once more
    what the shared one has learned. Not the right choice for features that are zero in most rows,
    whose products are small whatever they say. It depends on the scale of the features.

    Args:
        strength: Factor of the penalty, not negative. Defaults to `0.01`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: `[shared, private]`, of shape `(batch, ..., m)` and `(batch, ..., n)`; all axes
            but the last one count as rows. Positions that a mask leaves out do not count.

    Returns:
        The private features, unchanged.

    On several replicas `BalancedModel` takes the rows of the global batch.

    Raises:
        ValueError: If the strength is negative or not a number; in training by plain Keras on
            several replicas, which cannot see the global batch.

    Example:
        >>> layer = Orthogonality(0.5)
        >>> shared, private = ops.array([[1.0, 0.0], [0.0, 2.0]]), ops.array([[3.0], [1.0]])
        >>> layer([shared, private]).numpy().tolist()
        [[3.0], [1.0]]
        >>> [float(loss) for loss in layer.losses]  # 0.5 * (3^2 + 2^2) / 2^2
        [1.625]

    Reference:
        Bousmalis et al., Domain Separation Networks, NeurIPS 2016, arXiv:1608.06019, and Liu et
        al., ACL 2017, arXiv:1704.05742, who sum over the rows; here it is a mean, so that the
        strength does not depend on the size of a batch.
    """

    def __init__(self, strength: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(strength, int | float) or not 0 <= strength < math.inf:
            raise ValueError(
                f"{self.name}: strength must be a number of at least 0; received {strength!r}."
            )
        self.supports_masking = True
        self.strength = float(strength)
        self.built = True

    def call(
        self,
        features: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """Adds the penalty to the loss, and returns the private features."""
        check_added_losses(self, training)
        # In float32: sums of products of a batch leave the range of half precision.
        shared, private = (
            ops.reshape(ops.cast(part, "float32"), (-1, part.shape[-1])) for part in features
        )
        valid = ops.ones_like(shared[:, :1])
        for part_mask in mask or ():
            if part_mask is not None:
                valid = valid * ops.reshape(ops.cast(part_mask, "float32"), (-1, 1))
        products = ops.matmul(ops.transpose(shared * valid), private)  # S^T P, (m, n)
        add_loss_of_sums(self, self._penalty, [products, ops.sum(valid)])
        return features[1]

    def _penalty(self, products: Tensor, rows: Tensor) -> Tensor:
        """Computes `strength |S^T P|_F^2 / rows^2` from the products and the number of rows."""
        return self.strength * ops.sum(ops.square(products / ops.maximum(rows, 1)))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of the private features."""
        return tuple(input_shape[1])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the mask of the private features."""
        return previous_mask[1] if previous_mask else None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "strength": self.strength}
