"""The feature gate of HoME (Wang et al., 2024)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initial import spread, stacked


@keras.saving.register_keras_serializable(package="keras_mtl")
class FeatureGate(keras.layers.Layer):
    """Gives a group of experts its own view of features: each is scaled by a factor in (0, 2).

    `v * sum_l softmax(W v)_l * 2 sigmoid(v B_l A_l)`, with `num_views` low-rank maps `B_l A_l`
    of rank `max(1, in // num_views)`, so that all of them together cost one square matrix.

    Args:
        num_views: How many low-rank maps. Defaults to `2`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Floats `(batch, ..., in)`.

    Raises:
        ValueError: If `num_views` is less than 1.

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
        size, views = input_shape[-1], self.num_views
        if size is None:
            raise ValueError(
                f"{self.name}: the last axis of the features must be known; "
                f"received the shape {input_shape}."
            )
        rank = max(1, size // views)
        draws = spread(keras.initializers.GlorotUniform(), 2 * views)
        self.down_kernel = self.add_weight(
            (size, views, rank), stacked(draws[:views]), name="down_kernel"
        )
        self.up_kernel = self.add_weight(
            (rank, views, size), stacked(draws[views:]), name="up_kernel"
        )
        if views > 1:
            self.gate_kernel = self.add_weight((size, views), "glorot_uniform", name="gate_kernel")

    def call(self, features: Tensor) -> Tensor:
        """Scales features `(batch, ..., in)`."""
        size, count, rank = self.down_kernel.shape
        # Positions as rows: along an ellipsis einsum multiplies them one by one.
        rows = ops.reshape(features, (-1, size))
        down = ops.matmul(rows, ops.reshape(self.down_kernel, (size, count * rank)))
        down = ops.reshape(down, (-1, count, rank))
        views = 2 * ops.sigmoid(ops.einsum("nlr,rli->nli", down, self.up_kernel))
        views = ops.reshape(views, (*ops.shape(features)[:-1], count, size))
        if self.num_views == 1:
            return features * views[..., 0, :]
        gate = ops.softmax(ops.matmul(features, self.gate_kernel))
        return features * ops.sum(ops.expand_dims(gate, -1) * views, axis=-2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The features' shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "num_views": self.num_views}
