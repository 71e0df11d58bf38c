"""The feature gate of HoME (Wang et al., 2024)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initializers import distinct_initializers, stack_initializers


@keras.saving.register_keras_serializable(package="keras_mtl")
class FeatureGate(keras.layers.Layer):
    """Scales each feature by a factor in (0, 2), so that a group of experts has its own view.

    Features `v` become `v * sum_l softmax(W v)_l * 2 sigmoid(v B_l A_l)`. The `num_views` low-rank
    maps `B_l A_l` have rank `max(1, in // num_views)`, so that all of them together cost as much
    as one square matrix. With one view there is no softmax.

    Args:
        num_views: The number of low-rank maps. Defaults to `2`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Floats `(batch, ..., in)`.

    Raises:
        ValueError: If `num_views` is less than 1, or the last axis of the features is not known.

    Example:
        >>> FeatureGate()(keras.Input((6,))).shape
        (None, 6)

    Reference:
        Wang et al., HoME: Hierarchy of Multi-Gate Experts for Multi-Task Learning at Kuaishou,
        arXiv:2408.05430.
    """

    def __init__(self, num_views: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_views < 1:
            raise ValueError(f"{self.name}: num_views must be at least 1; received {num_views}.")
        self.supports_masking = True
        self.num_views = num_views

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the low-rank maps and the gate over them."""
        size, num_views = input_shape[-1], self.num_views
        if size is None:
            raise ValueError(
                f"{self.name}: the last axis of the features must be known; "
                f"received the shape {input_shape}."
            )
        rank = max(1, size // num_views)
        draws = distinct_initializers(keras.initializers.GlorotUniform(), 2 * num_views)
        down, up = stack_initializers(draws[:num_views]), stack_initializers(draws[num_views:])
        self.down_kernel = self.add_weight((size, num_views, rank), down, name="down_kernel")
        self.up_kernel = self.add_weight((rank, num_views, size), up, name="up_kernel")
        if num_views > 1:
            self.gate_kernel = self.add_weight(
                (size, num_views), "glorot_uniform", name="gate_kernel"
            )

    def call(self, features: Tensor) -> Tensor:
        """Computes `v * sum_l softmax(W v)_l * 2 sigmoid(v B_l A_l)` for features `v`."""
        size, num_views, rank = self.down_kernel.shape
        # Positions as rows: along an ellipsis einsum multiplies them one by one
        # (docs/keras_notes.md, pain 95).
        rows = ops.reshape(features, (-1, size))  # positions, in
        down = ops.matmul(rows, ops.reshape(self.down_kernel, (size, num_views * rank)))
        down = ops.reshape(down, (-1, num_views, rank))  # v B_l: positions n, views l, rank r
        views = 2 * ops.sigmoid(ops.einsum("nlr,rli->nli", down, self.up_kernel))
        views = ops.reshape(views, (*ops.shape(features)[:-1], num_views, size))
        if self.num_views == 1:
            return features * views[..., 0, :]
        gate = ops.softmax(ops.matmul(features, self.gate_kernel))  # batch, ..., views
        return features * ops.sum(ops.expand_dims(gate, -1) * views, axis=-2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the features."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "num_views": self.num_views}
