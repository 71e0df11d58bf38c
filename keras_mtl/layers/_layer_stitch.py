"""A learned mixture of what several layers of a body make (Ruder et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class LayerStitch(keras.layers.Layer):
    """Adds up features of several depths, each times a learned number.

    `x~ = sum_l betas_l x_l`, so that a task which needs shallow features is not bound to the
    last ones. Choose it behind a body whose stages keep their shape.

    Args:
        beta: Where the last of the `betas` starts; what is left of 1 is spread evenly over the
            others. With one input it starts at 1. Defaults to `0.9`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, the lowest first. The
            first mask among them is passed on.

    Returns:
        Floats of that shape.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> stitch = LayerStitch(beta=0.75)
        >>> stitch([np.array([[4.0]]), np.array([[8.0]])]).numpy().tolist()
        [[7.0]]

    Reference:
        Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, arXiv:1705.08142.
    """

    def __init__(self, beta: float = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.beta = beta

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Makes `betas`, a number a layer."""
        shapes = [tuple(shape) for shape in input_shape]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"{self.name}: features of all depths are added up, so they must have one shape; "
                f"received {shapes}. Let all stages of the body end in the same shape."
            )
        self.betas = self.add_weight((len(shapes),), self._start, name="betas")

    def _start(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        count = shape[0]
        last = self.beta if count > 1 else 1.0
        others = (1.0 - last) / max(count - 1, 1)
        return ops.convert_to_tensor([others] * (count - 1) + [last], dtype=dtype)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Adds up a list of features of equal shape."""
        return ops.sum(ops.stack(list(inputs), axis=-1) * self.betas, axis=-1)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """The shape of one of the inputs."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """The first mask of the inputs."""
        return next((mask for mask in previous_mask or () if mask is not None), None)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "beta": self.beta}
