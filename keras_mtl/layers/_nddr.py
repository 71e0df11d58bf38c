"""Features of several tasks, joined and brought back to their size (Gao et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class NDDR(keras.layers.Layer):
    """Gives each task a learned projection of all tasks' channels, normalized and activated.

    `y_i = act(BN(W_i [x_1, ..., x_K]))`: a 1x1 convolution reduces the joined channels to as
    many as a task had. All `W_i` are one matrix product. `W_i` begins with `alpha` times the
    identity for the task's own channels, and an equal share of what is left of 1 for those of
    each other task. Where batches are too small for statistics,
    choose `CrossStitch`.

    Args:
        alpha: Where a task's weight of its own channels starts. With one input it starts at 1.
            Defaults to `0.9`.
        weight_decay: Times the sum of the squares of `W`, which is added to the loss. Defaults
            to `0.0`.
        momentum: Momentum of the moving statistics. Defaults to `0.95`.
        activation: Activation. Defaults to `"relu"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, one a task. Masks are
            passed on; what is masked does not count in the statistics.
        training: Whether to normalize by the batch's statistics, and to learn from them.

    Returns:
        A list of features of the same shape.

    Raises:
        ValueError: If the inputs differ in shape, or their last axis is not known.

    Example:
        >>> import numpy as np
        >>> layer = NDDR(alpha=0.75, activation=None)
        >>> mixed = layer([np.array([[4.0, 0.0]]), np.array([[0.0, 8.0]])])
        >>> [each.numpy().round(2).tolist() for each in mixed]
        [[[3.0, 2.0]], [[1.0, 6.0]]]
        >>> tuple(layer.kernel.shape)
        (4, 4)

    Reference:
        Gao et al., NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural
        Discriminative Dimensionality Reduction, CVPR 2019, arXiv:1801.08297. The start with
        0.9 and 0.1 is theirs for two tasks, as is the momentum in their code.
    """

    def __init__(
        self,
        alpha: float = 0.9,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes the kernel `(tasks * units, tasks * units)` and the normalization."""
        shapes = [tuple(shape) for shape in input_shape]
        units = shapes[0][-1]
        if len(set(shapes)) > 1 or units is None:
            raise ValueError(
                f"{self.name}: expected features of equal shape (batch, ..., units), units known; "
                f"received {shapes}."
            )
        self._count = len(shapes)
        size = self._count * units
        decay = keras.regularizers.L2(self.weight_decay) if self.weight_decay else None
        self.kernel = self.add_weight((size, size), self._start, name="kernel", regularizer=decay)
        self.normalization = keras.layers.BatchNormalization(
            momentum=self.momentum, dtype=self.dtype_policy, name="normalization"
        )
        self.normalization.build((*shapes[0][:-1], size))

    def _start(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        count = self._count
        own = self.alpha if count > 1 else 1.0
        others = (1.0 - own) / max(count - 1, 1)
        mixture = others + (own - others) * ops.eye(count, dtype=dtype)
        units = ops.eye(shape[0] // count, dtype=dtype)
        blocks = mixture[:, None, :, None] * units[None, :, None, :]  # Kronecker product
        return ops.reshape(blocks, shape)

    def call(
        self, inputs: Sequence[Tensor], training: bool | None = None, mask: Any = None
    ) -> list[Tensor]:
        """Projects a list of features of equal shape."""
        masks = mask if isinstance(mask, list | tuple) else [mask]
        mask = next((each for each in masks if each is not None), None)
        mixed = ops.matmul(ops.concatenate(list(inputs), axis=-1), self.kernel)
        mixed = self.activation(self.normalization(mixed, training=training, mask=mask))
        return list(ops.split(mixed, len(inputs), axis=-1))

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> list[tuple[int | None, ...]]:
        """The shapes of the inputs."""
        return [tuple(shape) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "weight_decay": self.weight_decay,
            "momentum": self.momentum,
            "activation": keras.activations.serialize(self.activation),
        }
