"""Stacking of branches on an axis of their own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._masks import first_mask


@keras.saving.register_keras_serializable(package="keras_mtl")
class StackBranches(keras.layers.Layer):
    """Stacks the features of several branches on a new axis before the last one.

    The branches have equal shapes. `PickBranch` takes one of them out again, and layers such as
    `ParallelDense` and `Branching` read the stack. `keras.ops.stack` does the same, but it drops
    the mask (docs/keras_notes.md, pain 20).

    Call arguments:
        inputs: A list of tensors `(batch, ..., units)`, one per branch. The first mask among
            them is passed on.

    Returns:
        Floats `(batch, ..., num_branches, units)`, in the order of the inputs.

    Raises:
        ValueError: If the branches differ in shape.

    Example:
        >>> StackBranches()([keras.Input((5,)), keras.Input((5,)), keras.Input((5,))]).shape
        (None, 3, 5)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Checks that all branches have one shape."""
        if len({tuple(shape) for shape in input_shape}) > 1:
            raise ValueError(
                f"{self.name}: features side by side have equal shapes; received {input_shape}."
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Stacks a list of features `(batch, ..., units)`."""
        return ops.stack(list(inputs), axis=-2)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_branches, units)`."""
        return (*input_shape[0][:-1], len(input_shape), input_shape[0][-1])

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the first mask that exists among the inputs."""
        return first_mask(previous_mask)
