"""A learned choice of the tasks that run a block and those that skip it (Sun et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._gumbel import gumbel_softmax
from keras_mtl.layers._masks import feature_mask
from keras_mtl.layers._narrowing import (
    built_shape,
    narrowed,
    take_branches,
    with_branches,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class SelectOrSkip(keras.layers.Layer):
    """Adds a block's output to the features of those tasks that select the block.

    The features `x_k` of task k become `x_k + u_k F(x_k)`, where `F` is the block. Outside
    training `u_k` is 1 or 0, whichever is more probable; in training `[1 - u_k, u_k]` is a draw
    of the Gumbel-softmax distribution with the probabilities `[1 - a_k, a_k]`, one draw for the
    whole batch. Two penalties on the probabilities are added to the loss:
    `sparsity * sum_k -log(1 - a_k)`, the cross-entropy of skipping; and
    `sharing * sum_{j<k} |a_j - a_k|`, so that tasks run the same blocks. The temperature of the
    draws is a variable, which a callback may lower with time.

    Args:
        sparsity: Weight of the first penalty. Defaults to `0.0`.
        sharing: Weight of the second penalty. Defaults to `0.0`.
        temperature: The initial temperature of the draws. Defaults to `1.0`.
        seed: Seed of the draws. Defaults to one that `keras.utils.set_random_seed` determines.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: `[features, block]`: the tasks' features and the output of the block for them,
            both `(batch, ..., num_tasks, units)`. The mask of the features is passed on.
        training: Whether to draw.

    Returns:
        Floats `(batch, ..., num_tasks, units)`.

    Raises:
        ValueError: If a weight is negative, the temperature is not positive, or the block
            changes the shape.

    Example:
        >>> layer = SelectOrSkip()
        >>> layer([keras.Input((2, 8)), keras.Input((2, 8))]).shape
        (None, 2, 8)
        >>> layer.selected.tolist()
        [True, True]

    Reference:
        Sun et al., AdaShare: Learning What To Share For Efficient Deep Multi-Task Learning,
        NeurIPS 2020, arXiv:1911.12423, and the authors' code.
    """

    branched_inputs = (0, 1)

    def __init__(
        self,
        sparsity: float = 0.0,
        sharing: float = 0.0,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sparsity < 0 or sharing < 0 or temperature <= 0:
            raise ValueError(
                f"{self.name}: expected sparsity >= 0, sharing >= 0 and temperature > 0; "
                f"received {sparsity}, {sharing} and {temperature}."
            )
        self.supports_masking = True
        self.sparsity = sparsity
        self.sharing = sharing
        self.start_temperature = temperature
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes the logits of skipping and selecting, `(num_tasks, 2)`, and the temperature."""
        features, block = (tuple(shape) for shape in input_shape)
        if features != block or len(features) < 3 or features[-2] is None:
            raise ValueError(
                f"{self.name}: a block that may be skipped keeps the shape (batch, ..., "
                f"num_tasks, units) of its features; received {features}, and {block} after it."
            )
        self.logits = self.add_weight(
            name="logits",
            shape=(features[-2], 2),
            initializer="zeros",
            regularizer=self._penalty if self.sparsity or self.sharing else None,
            autocast=False,
        )
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(self.start_temperature),
            trainable=False,
            autocast=False,
        )

    @property
    def selected(self) -> Any:
        """Whether each task runs the block outside training, an array `(num_tasks,)`."""
        logits = self.logits.numpy()
        return logits[:, 1] >= logits[:, 0]

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        """Computes `x_k + u_k F(x_k)` for all tasks k, from `[features, block]`."""
        features, block = inputs
        if training:
            draws = gumbel_softmax(self.logits, self.temperature, self.seed_generator)
            chosen = draws[:, 1]
        else:
            chosen = self.logits[:, 1] >= self.logits[:, 0]
        # (num_tasks, 1) times (batch, ..., num_tasks, units)
        return features + ops.expand_dims(ops.cast(chosen, features.dtype), -1) * block

    def _penalty(self, logits: Tensor) -> Tensor:
        """Computes `sharing * sum_{j<k} |a_j - a_k| - sparsity * sum_k log(1 - a_k)`."""
        log_skip, log_select = ops.unstack(ops.log_softmax(logits), axis=-1)
        chances = ops.exp(log_select)  # a
        distances = ops.abs(ops.expand_dims(chances, 0) - ops.expand_dims(chances, 1))
        # The matrix of distances holds each pair of tasks twice.
        return self.sharing * ops.sum(distances) / 2 - self.sparsity * ops.sum(log_skip)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the features."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the mask of the features."""
        return feature_mask(previous_mask)

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy with some of the tasks, and without penalties on the others."""
        shapes = [with_branches(shape, len(indices)) for shape in built_shape(self)]
        return narrowed(self, shapes, take_branches(indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "sparsity": self.sparsity,
            "sharing": self.sharing,
            "temperature": self.start_temperature,
            "seed": self.seed,
        }
