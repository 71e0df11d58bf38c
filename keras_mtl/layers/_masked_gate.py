"""A gate with a softmax over the experts that it may choose."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._narrowing import built_shape, narrowed


@keras.saving.register_keras_serializable(package="keras_mtl")
class MaskedGate(keras.layers.Layer):
    """Weighs the allowed experts by `softmax(W x)`; all other experts get exactly 0.

    With one allowed expert the layer has no variable, and the weight of this expert is 1.

    Args:
        allowed: For each expert, whether the gate may choose it; at least one entry is true.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., in)`. A mask is passed on.

    Returns:
        Weights `(batch, ..., len(allowed))` that sum to 1.

    Raises:
        ValueError: If no expert is allowed.

    Example:
        >>> gate = MaskedGate([True, False, True])
        >>> gate(ops.zeros((1, 4))).numpy().tolist()
        [[0.5, 0.0, 0.5]]
    """

    def __init__(self, allowed: Sequence[bool], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not any(allowed):
            raise ValueError(f"{self.name}: no expert is allowed; received {allowed!r}.")
        self.supports_masking = True
        self.allowed = tuple(bool(is_allowed) for is_allowed in allowed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the kernel `W`, with one column per allowed expert, if there are several."""
        if sum(self.allowed) > 1:
            shape = (input_shape[-1], sum(self.allowed))
            self.kernel = self.add_weight(shape, "glorot_uniform", name="kernel")

    def call(self, features: Tensor) -> Tensor:
        """Computes `softmax(W x)` over the allowed experts, for features `(batch, ..., in)`."""
        if sum(self.allowed) > 1:
            gate = ops.softmax(ops.matmul(features, self.kernel))  # batch, ..., allowed experts
        else:
            gate = ops.ones_like(features[..., :1])
        # One row per allowed expert, with a 1 at the position of the expert.
        positions = ops.one_hot(
            [i for i, is_allowed in enumerate(self.allowed) if is_allowed],
            len(self.allowed),
            dtype=gate.dtype,
        )
        return ops.matmul(gate, positions)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., len(allowed))`."""
        return (*input_shape[:-1], len(self.allowed))

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer over some of the experts, among them all that are allowed."""
        allowed = [self.allowed[i] for i in indices]
        return narrowed(self, built_shape(self), lambda _, values: values, allowed=allowed)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "allowed": list(self.allowed)}
