"""Linear mixing of the features of several tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class CrossStitch(keras.layers.Layer):
    """Gives each task a learned linear combination of all tasks' features.

    `x~_i = sum_j alphas_ij x_j`, where `alphas_ij` is one number per pair of tasks, or one number
    per pair and channel. With subspaces, each task's channels are cut into `num_subspaces` equal
    ranges, `i` and `j` run over the subspaces of all tasks, and every subspace of every task is
    mixed with every other.

    Args:
        alpha: The initial value of `alphas_ii`; the rest, `1 - alpha`, is spread evenly over the
            other `alphas_ij`, so that features keep their size. With one input `alphas_ii` starts
            at 1. Defaults to `0.9`.
        per_channel: Whether each channel has its own `alphas`. Defaults to `False`.
        num_subspaces: The number of subspaces into which channels are cut. Defaults to `1`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, one per task. Masks are
            passed on.

    Returns:
        A list of features of the same shape, one per task.

    Raises:
        ValueError: If the inputs differ in shape, or the units cannot be cut into subspaces.

    Example:
        >>> import numpy as np
        >>> stitch = CrossStitch(alpha=0.75)
        >>> mixed = stitch([np.array([[4.0, 0.0]]), np.array([[0.0, 8.0]])])
        >>> [features.numpy().tolist() for features in mixed]
        [[[3.0, 2.0]], [[1.0, 6.0]]]
        >>> tuple(stitch.alphas.shape)
        (2, 2)
    """

    def __init__(
        self,
        alpha: float = 0.9,
        per_channel: bool = False,
        num_subspaces: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = alpha
        self.per_channel = per_channel
        self.num_subspaces = num_subspaces

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes `alphas` `(subspaces, subspaces)`, or `(subspaces, subspaces, channels)`."""
        shapes = [tuple(shape) for shape in input_shape]
        units = shapes[0][-1]
        if len(set(shapes)) > 1 or units is None or units % self.num_subspaces:
            raise ValueError(
                f"{self.name}: expected features of equal shape (batch, ..., units), units known "
                f"and divisible by {self.num_subspaces} subspace(s); received {shapes}."
            )
        subspaces = len(shapes) * self.num_subspaces
        channels = (units // self.num_subspaces,) if self.per_channel else ()
        self.alphas = self.add_weight(
            name="alphas", shape=(subspaces, subspaces, *channels), initializer=self._start
        )

    def _start(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Returns `alpha` on the diagonal, and a row's rest spread over its other entries."""
        subspaces = shape[0]
        diagonal = self.alpha if subspaces > 1 else 1.0
        off_diagonal = (1.0 - diagonal) / max(subspaces - 1, 1)
        start = off_diagonal + (diagonal - off_diagonal) * ops.eye(subspaces, dtype=dtype)
        # subspaces, subspaces, 1 per channel: all channels start with the same numbers.
        start = ops.reshape(start, (subspaces, subspaces, *[1] * (len(shape) - 2)))
        return ops.broadcast_to(start, shape)

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Computes `x~_i = sum_j alphas_ij x_j` for a list of features of equal shape."""
        cuts = self.num_subspaces
        subspaces = [part for x in inputs for part in (ops.split(x, cuts, -1) if cuts > 1 else [x])]
        stacked = ops.stack(subspaces, axis=-1)  # batch, ..., channels, subspaces
        if self.per_channel:
            alphas = ops.transpose(self.alphas, (2, 0, 1))  # channels, subspaces i, subspaces j
            # batch, ..., channels, subspaces i, subspaces j, before the sum over j
            mixed = ops.sum(alphas * ops.expand_dims(stacked, -2), axis=-1)
        else:
            mixed = ops.matmul(stacked, ops.transpose(self.alphas))  # also a sum over j
        mixed_subspaces = ops.unstack(mixed, axis=-1)  # each batch, ..., channels
        if cuts == 1:
            return list(mixed_subspaces)
        return [
            ops.concatenate(mixed_subspaces[i : i + cuts], axis=-1)
            for i in range(0, len(mixed_subspaces), cuts)
        ]

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> list[tuple[int | None, ...]]:
        """Returns the shapes of the inputs."""
        return [tuple(shape) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "per_channel": self.per_channel,
            "num_subspaces": self.num_subspaces,
        }
