"""Branches side by side on one axis, and one of them alone."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class StackBranches(keras.layers.Layer):
    """Puts features of equal shape side by side, on a new axis before the last.

    `keras.ops.stack` does the same, but drops the mask.

    Call arguments:
        inputs: Tensors `(batch, ..., units)`. The first mask among them is passed on.

    Returns:
        Floats `(batch, ..., len(inputs), units)`.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> StackBranches()([keras.Input((5,)), keras.Input((5,)), keras.Input((5,))]).shape
        (None, 3, 5)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Checks that the shapes agree."""
        if len({tuple(shape) for shape in input_shape}) > 1:
            raise ValueError(
                f"{self.name}: features side by side have equal shapes; received {input_shape}."
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Stacks features `(batch, ..., units)`."""
        return ops.stack(list(inputs), axis=-2)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """`(batch, ..., len(inputs), units)`."""
        return (*input_shape[0][:-1], len(input_shape), input_shape[0][-1])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """The first mask of the inputs."""
        return next((mask for mask in previous_mask or () if mask is not None), None)


@keras.saving.register_keras_serializable(package="keras_mtl")
class PickBranch(keras.layers.Layer):
    """Takes one of the branches that stand side by side.

    Args:
        index: Which one, from 0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        branches: Floats `(batch, ..., num_branches, units)`. A mask is passed on.

    Returns:
        Floats `(batch, ..., units)`.

    Raises:
        ValueError: If there is no such branch.

    Example:
        >>> PickBranch(1)(ops.array([[[1.0, 2.0], [3.0, 4.0]]])).numpy().tolist()
        [[3.0, 4.0]]
    """

    def __init__(self, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.index = index

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that there is such a branch."""
        count = input_shape[-2]
        if count is None or not 0 <= self.index < count:
            raise ValueError(
                f"{self.name}: no branch {self.index} among (batch, ..., num_branches, units) "
                f"of the shape {input_shape}."
            )

    def call(self, branches: Tensor) -> Tensor:
        """Takes a branch of `(batch, ..., num_branches, units)`."""
        return branches[..., self.index, :]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """`(batch, ..., units)`."""
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "index": self.index}
