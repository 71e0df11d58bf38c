"""Fusion of the features of several tasks, reduced to their size (Gao et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class NDDR(keras.layers.Layer):
    """Gives each task a learned projection of all tasks' channels, normalized and activated.

    `y_i = act(BN(W_i [x_1, ..., x_K]))`: a 1x1 convolution `W_i` reduces the joined channels of
    the K tasks to as many as one task has, and `BN` is a batch normalization. All `W_i` are
    computed as one matrix product. `W_i` starts with `alpha` times the identity for the channels
    of task i, and with `(1 - alpha) / (K - 1)` times the identity for those of each other task.
    Where batches are too small for statistics, choose `CrossStitch`.

    Args:
        alpha: The initial weight of a task's own channels. With one input it starts at 1.
            Defaults to `0.9`.
        weight_decay: Factor of the sum of the squares of `W`, which is added to the loss.
            Defaults to `0.0`.
        momentum: Momentum of the moving statistics. Defaults to `0.95`.
        activation: Activation. Defaults to `"relu"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, one per task. Masks
            are passed on; positions that the first mask among them hides do not enter the
            statistics.
        training: Whether to normalize by the statistics of the batch, and to update the moving
            statistics by them.

    Returns:
        A list of features of the same shape, one per task.

    Raises:
        ValueError: If the inputs differ in shape, or their last axis is not known.

    Example:
        >>> import numpy as np
        >>> layer = NDDR(alpha=0.75, activation=None)
        >>> mixed = layer([np.array([[4.0, 0.0]]), np.array([[0.0, 8.0]])])
        >>> [features.numpy().round(2).tolist() for features in mixed]
        [[[3.0, 2.0]], [[1.0, 6.0]]]
        >>> tuple(layer.kernel.shape)
        (4, 4)

    Reference:
        Gao et al., NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural
        Discriminative Dimensionality Reduction, CVPR 2019, arXiv:1801.08297. The initial
        values 0.9 and 0.1 are those of the paper for two tasks, and the momentum is that of the
        authors' code.
    """

    def __init__(
        self,
        alpha: float = 0.9,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        activation: Activation = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes the kernel `(num_tasks * units, num_tasks * units)` and the normalization."""
        shapes = [tuple(shape) for shape in input_shape]
        units = shapes[0][-1]
        if len(set(shapes)) > 1 or units is None:
            raise ValueError(
                f"{self.name}: expected features of equal shape (batch, ..., units), units known; "
                f"received {shapes}."
            )
        self._num_tasks = len(shapes)
        size = self._num_tasks * units
        decay = keras.regularizers.L2(self.weight_decay) if self.weight_decay else None
        self.kernel = self.add_weight((size, size), self._start, name="kernel", regularizer=decay)
        self.normalization = keras.layers.BatchNormalization(
            momentum=self.momentum, dtype=self.dtype_policy, name="normalization"
        )
        self.normalization.build((*shapes[0][:-1], size))

    def _start(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Returns the Kronecker product of the tasks' initial mixture and the identity of units."""
        num_tasks = self._num_tasks
        diagonal = self.alpha if num_tasks > 1 else 1.0
        off_diagonal = (1.0 - diagonal) / max(num_tasks - 1, 1)
        mixture = off_diagonal + (diagonal - off_diagonal) * ops.eye(num_tasks, dtype=dtype)
        units = ops.eye(shape[0] // num_tasks, dtype=dtype)
        blocks = mixture[:, None, :, None] * units[None, :, None, :]  # tasks, units, tasks, units
        return ops.reshape(blocks, shape)

    def call(
        self, inputs: Sequence[Tensor], training: bool | None = None, mask: Any = None
    ) -> list[Tensor]:
        """Computes `y_i = act(BN(W_i [x_1, ..., x_K]))` for a list of features `x_k`."""
        mask = first_mask(mask if isinstance(mask, list | tuple) else [mask])
        # batch, ..., num_tasks * units, before and after the product
        mixed = ops.matmul(ops.concatenate(list(inputs), axis=-1), self.kernel)
        mixed = self.activation(self.normalization(mixed, training=training, mask=mask))
        return list(ops.split(mixed, len(inputs), axis=-1))

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
            "weight_decay": self.weight_decay,
            "momentum": self.momentum,
            "activation": keras.activations.serialize(self.activation),
        }
