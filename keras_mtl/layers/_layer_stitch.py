"""A learned mixture of the outputs of several layers of a body (Ruder et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class LayerStitch(keras.layers.Layer):
    """Adds up the features of several depths, each multiplied by a learned number.

    `x~ = sum_l betas_l x_l`, so that a task that needs shallow features does not depend on the
    last features alone. Choose it after a body whose stages keep their shape.

    Args:
        beta: The initial value of the last of the `betas`; the rest, `1 - beta`, is spread evenly
            over the others. With one input the only one starts at 1. Defaults to `0.9`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list of features of equal shape `(batch, ..., units)`, the
            lowest depth first. The first mask among them is passed on.

    Returns:
        Floats of the same shape.

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
        """Makes `betas`, one number per depth."""
        shapes = [tuple(shape) for shape in input_shape]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"{self.name}: features of all depths are added up, so they must have one shape; "
                f"received {shapes}. Let all stages of the body end in the same shape."
            )
        self.betas = self.add_weight((len(shapes),), self._start, name="betas")

    def _start(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Returns `beta` as the last entry, and an equal share of `1 - beta` for the others."""
        depths = shape[0]
        last = self.beta if depths > 1 else 1.0
        share = (1.0 - last) / max(depths - 1, 1)
        return ops.convert_to_tensor([share] * (depths - 1) + [last], dtype=dtype)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `x~ = sum_l betas_l x_l` for a list of features of equal shape."""
        # The stack is batch, ..., units, depths.
        return ops.sum(ops.stack(list(inputs), axis=-1) * self.betas, axis=-1)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns the shape of one of the inputs."""
        return tuple(input_shape[0])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "beta": self.beta}
