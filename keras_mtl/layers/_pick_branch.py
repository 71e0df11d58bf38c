"""One of several stacked branches."""

from typing import Any

import keras

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class PickBranch(keras.layers.Layer):
    """Picks one branch out of a stack of branches, as `StackBranches` makes it.

    Args:
        index: The position of the branch, counted from 0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        branches: Floats `(batch, ..., num_branches, units)`. A mask is passed on.

    Returns:
        Floats `(batch, ..., units)`.

    Raises:
        ValueError: If the stack does not have a branch at this position.

    Example:
        >>> import numpy as np
        >>> PickBranch(1)(np.array([[[1.0, 2.0], [3.0, 4.0]]])).numpy().tolist()
        [[3.0, 4.0]]
    """

    def __init__(self, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.index = index

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that the stack has a branch at the position."""
        num_branches = input_shape[-2]
        if num_branches is None or not 0 <= self.index < num_branches:
            raise ValueError(
                f"{self.name}: no branch {self.index} among (batch, ..., num_branches, units) "
                f"of the shape {input_shape}."
            )

    def call(self, branches: Tensor) -> Tensor:
        """Picks the branch out of branches `(batch, ..., num_branches, units)`."""
        return branches[..., self.index, :]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., units)`."""
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "index": self.index}
